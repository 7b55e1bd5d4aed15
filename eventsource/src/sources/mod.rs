//! One file for each kind of source: its page, its fields, its rules, and its running half where it has one.

pub(crate) mod amqp;
pub(crate) mod azure_events_hub;
pub(crate) mod azure_queue_storage;
pub(crate) mod azure_service_bus;
pub(crate) mod bitbucket;
pub(crate) mod bitbucketserver;
pub(crate) mod calendar;
pub(crate) mod emitter;
pub(crate) mod file;
pub(crate) mod generic;
pub(crate) mod gerrit;
pub(crate) mod github;
pub(crate) mod gitlab;
pub(crate) mod hdfs;
pub(crate) mod kafka;
pub(crate) mod minio;
pub(crate) mod mns;
pub(crate) mod mqtt;
pub(crate) mod nats;
pub(crate) mod nsq;
pub(crate) mod pub_sub;
pub(crate) mod pulsar;
pub(crate) mod redis;
pub(crate) mod redis_stream;
pub(crate) mod resource;
pub(crate) mod sftp;
pub(crate) mod shared;
pub(crate) mod slack;
pub(crate) mod sns;
pub(crate) mod sqs;
pub(crate) mod storage_grid;
pub(crate) mod stripe;
pub(crate) mod webhook;

#[cfg(test)]
mod tests;
