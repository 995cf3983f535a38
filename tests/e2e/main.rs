//! The operator as a process of its own, against a real API server and simulated clouds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "the helpers of tests fail as tests do"
)]

mod access_key;
mod actions;
mod alibaba_identities;
mod authority;
mod canary;
mod classes;
mod cloud;
mod command_line;
mod counting;
mod drift;
mod endpoint;
mod entered_role;
mod examples;
mod failover;
mod faults;
mod gitops;
mod grants;
mod hostile;
mod hot_path;
mod identity;
mod input;
mod interruption;
mod isolation;
mod kms;
mod kubectl;
mod leader;
mod leaks;
mod narrow;
mod operator;
mod outage;
mod ownership;
mod pair;
mod pressure;
mod proxy;
mod rbac;
mod reapply;
mod reference;
mod refreshes;
mod refusal;
mod rename;
mod restore;
mod resumption;
mod road;
mod roles;
mod rotation;
mod scene;
mod service;
mod snapshot;
mod ssm;
mod stuck;
mod suspension;
mod ten;
mod tenancy;
mod tencent;
mod tencent_identities;
mod tencent_own;
mod trying;
mod upgrade;
mod user;
mod wait;
mod world;

#[allow(dead_code, reason = "more than is used here")]
#[path = "../pages/mod.rs"]
mod pages;
