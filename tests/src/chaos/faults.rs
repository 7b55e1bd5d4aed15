//! What can go wrong, where, and for how long. The stage does it.

use std::time::Duration;

use super::Shape;
use super::dice::Dice;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The EventSource's process gets SIGKILL.
    SourceKilled,
    /// The EventSource's process gets SIGTERM, as when it is rolled out anew.
    SourceRolled,
    /// One of the sensor's replicas gets SIGKILL.
    SensorKilled,
    /// The other one.
    OtherSensorKilled,
    /// Both at once.
    SensorsKilled,
    /// A replica gets SIGTERM.
    SensorRolled,
    /// A replica stands still for less than the time to acknowledge.
    SensorPaused,
    /// A replica stands still for longer than the time to acknowledge: others do its work, then it wakes up.
    SensorPausedLong,
    /// The bus's server (of a cluster: the stream's leader) gets SIGKILL.
    BusKilled,
    /// It stands still, with its connections open.
    BusPaused,
    /// The disk of its store is full.
    DiskFull,
    /// The API server gets SIGKILL.
    ApiKilled,
    /// It stands still, with its connections open.
    ApiPaused,
    /// `tiphys run` gets SIGKILL.
    LocalKilled,
    /// `tiphys run` gets SIGTERM.
    LocalRolled,
    /// `tiphys run` stands still.
    LocalPaused,
}

impl Fault {
    /// All that make sense in a shape, those first that take little time.
    #[must_use]
    pub fn of(shape: Shape) -> Vec<Self> {
        match shape {
            Shape::Embedded => {
                vec![
                    Self::LocalKilled,
                    Self::LocalRolled,
                    Self::LocalPaused,
                    Self::DiskFull,
                ]
            }
            Shape::JetStream | Shape::Cluster => vec![
                Self::SourceKilled,
                Self::SourceRolled,
                Self::SensorKilled,
                Self::OtherSensorKilled,
                Self::SensorsKilled,
                Self::SensorRolled,
                Self::SensorPaused,
                Self::BusKilled,
                Self::BusPaused,
                Self::ApiKilled,
                Self::ApiPaused,
                Self::DiskFull,
                Self::SensorPausedLong,
            ],
        }
    }

    /// For the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceKilled => "eventsource SIGKILL",
            Self::SourceRolled => "eventsource SIGTERM",
            Self::SensorKilled => "sensor 1 SIGKILL",
            Self::OtherSensorKilled => "sensor 2 SIGKILL",
            Self::SensorsKilled => "both sensors SIGKILL",
            Self::SensorRolled => "sensor 1 SIGTERM",
            Self::SensorPaused => "sensor 2 paused",
            Self::SensorPausedLong => "sensor 2 paused beyond its time",
            Self::BusKilled => "bus SIGKILL",
            Self::BusPaused => "bus paused",
            Self::DiskFull => "disk of the bus full",
            Self::ApiKilled => "API server SIGKILL",
            Self::ApiPaused => "API server paused",
            Self::LocalKilled => "tiphys run SIGKILL",
            Self::LocalRolled => "tiphys run SIGTERM",
            Self::LocalPaused => "tiphys run paused",
        }
    }

    /// Whether something stands still, which must be over before anybody waits for its end.
    pub(super) const fn is_pause(self) -> bool {
        matches!(
            self,
            Self::BusPaused
                | Self::ApiPaused
                | Self::SensorPaused
                | Self::SensorPausedLong
                | Self::LocalPaused
        )
    }

    /// How long it lasts.
    pub(super) fn hold(self, dice: &mut Dice) -> Duration {
        match self {
            Self::SensorPausedLong => Duration::from_secs(35),
            Self::BusPaused | Self::ApiPaused | Self::SensorPaused | Self::LocalPaused => {
                dice.millis(500..4000)
            }
            Self::BusKilled | Self::ApiKilled | Self::DiskFull => dice.millis(100..3000),
            _ => dice.millis(0..1500),
        }
    }
}
