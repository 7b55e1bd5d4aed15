//! Exact decimal arithmetic for `addf` and its kin.
//! It never rounds but in division, to 16 places, as Sprig's decimal library does.

use crate::gotemplate::cx::Fault;
use num_bigint::{BigInt, Sign};

/// Digits times a power of ten.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    digits: BigInt,
    exponent: i32,
}

/// Places that a quotient keeps.
const PLACES: i32 = 16;

/// Longer numbers only serve to exhaust memory.
const MAX_BITS: u64 = 1 << 16;

fn power(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

impl Decimal {
    /// The shortest digits that give the float.
    pub(super) fn from_f64(float: f64) -> Result<Self, Fault> {
        if !float.is_finite() {
            return Err(Fault(format!("Cannot create a Decimal from {float}")));
        }
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().unwrap_or_default();
        let places = i32::try_from(fraction.len()).unwrap_or(0);
        Ok(Self {
            digits,
            exponent: exponent.parse::<i32>().unwrap_or(0) - places,
        })
    }

    fn at(&self, exponent: i32) -> BigInt {
        let shift = u32::try_from(self.exponent - exponent).unwrap_or(0);
        &self.digits * power(shift)
    }

    pub(super) fn add(self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self {
            digits: self.at(exponent) + other.at(exponent),
            exponent,
        }
    }

    pub(super) fn sub(self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self {
            digits: self.at(exponent) - other.at(exponent),
            exponent,
        }
    }

    pub(super) fn mul(self, other: &Self) -> Self {
        Self {
            digits: self.digits * &other.digits,
            exponent: self.exponent + other.exponent,
        }
    }

    /// Rounds half away from zero.
    pub(super) fn div(self, other: &Self) -> Result<Self, Fault> {
        if other.digits.sign() == Sign::NoSign {
            return Err(Fault::from("decimal division by 0"));
        }
        let shift = self.exponent - other.exponent + PLACES;
        let (mut dividend, mut divisor) = (self.digits, other.digits.clone());
        match u32::try_from(shift) {
            Ok(shift) => dividend *= power(shift),
            Err(_) => divisor *= power(shift.unsigned_abs()),
        }
        let mut quotient = &dividend / &divisor;
        let rest = &dividend - &quotient * &divisor;
        if rest.magnitude() * 2_u32 >= *divisor.magnitude() {
            if dividend.sign() == divisor.sign() {
                quotient += 1;
            } else {
                quotient -= 1;
            }
        }
        Ok(Self {
            digits: quotient,
            exponent: -PLACES,
        })
    }

    pub(super) fn check_size(&self) -> Result<(), Fault> {
        if self.digits.bits() > MAX_BITS {
            return Err(Fault::from("the number is too long"));
        }
        Ok(())
    }

    /// The nearest float.
    pub(super) fn to_f64(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent)
            .parse()
            .unwrap_or(f64::NAN)
    }
}
