//! One run: which scenario stands on which, in which order, in which world.

use std::time::Duration;

use crate::args::{RunArgs, Scenario};
use crate::capacity;
use crate::failure::Result;
use crate::operator::{Operator, Program};
use crate::population::{Population, Store};
use crate::procfs;
use crate::programs;
use crate::report::{Idle, Latency, Outage, Report, Restart, Shared, Steady, SteadyOos, SteadySsm};
use crate::scenario::{self, INTERVAL, INTERVAL_TEXT, INTERVALS, KMS_BATCH, NEVER, SAMPLE, Stage};
use crate::tell;
use crate::world::World;

/// Up to so many objects, the scenarios that mostly wait run beside each other: they count, and measure no latency that a
/// busy machine would blur.
const SMALL: u32 = 2_000;
/// How long an idle operator is watched.
const IDLE: Duration = Duration::from_secs(30);

/// What is asked for, and what it is asked of.
struct Run {
    args: RunArgs,
    program: Program,
    population: Population,
    newcomers: Population,
    shared: Population,
    oos: Population,
    ssm: Population,
}

/// Measures what is asked for.
///
/// # Errors
/// Whatever does not come up or does not converge.
pub async fn run(args: RunArgs) -> Result<Report> {
    let run = Run::new(args)?;
    let mut report = run.empty();
    capacity::check().await?;
    if run.args.wants(Scenario::Floor) {
        report.floor = scenario::floor(&run.program, &run.population).await?;
    }
    let with_objects = [
        Scenario::Cold,
        Scenario::Steady,
        Scenario::Rotate,
        Scenario::FastLane,
        Scenario::Restart,
        Scenario::Outage,
    ];
    let beside = [
        Scenario::Idle,
        Scenario::Shared,
        Scenario::SteadyOos,
        Scenario::SteadySsm,
    ];
    let world;
    let mut stage = None;
    if run.args.wants_any(&with_objects) {
        world = World::start(&run.program, &[&run.population, &run.newcomers]).await?;
        stage = Some(run.busy(&world, &mut report).await?);
    }
    let late = run.args.wants_any(&[Scenario::Restart, Scenario::Outage]);
    let stage = stage.filter(|_| late);
    if !run.args.wants_any(&beside) {
        run.interrupted(stage, &mut report).await?;
        return Ok(report);
    }
    if run.args.n > SMALL {
        run.interrupted(stage, &mut report).await?;
        let other = World::start(&run.program, &run.populations_beside()).await?;
        run.beside(&other, &mut report).await?;
        return Ok(report);
    }
    let mut second = report.clone();
    let beside = async {
        let other = World::start(&run.program, &run.populations_beside()).await?;
        run.beside(&other, &mut second).await
    };
    tokio::try_join!(run.interrupted(stage, &mut report), beside)?;
    (report.idle, report.shared, report.steady_oos) =
        (second.idle, second.shared, second.steady_oos);
    report.steady_ssm = second.steady_ssm;
    Ok(report)
}

// === impl Run ===

impl Run {
    fn new(args: RunArgs) -> Result<Self> {
        let objects = usize::try_from(args.n).unwrap_or(usize::MAX);
        Ok(Self {
            program: Program::find(args.program.as_deref(), args.operator.as_deref())?,
            population: Population::distinct("x", Store::Kms, objects, NEVER),
            newcomers: scenario::newcomers(),
            shared: Population::shared("same", Store::Kms, objects, INTERVAL_TEXT),
            oos: Population::distinct("oos", Store::Oos, objects, INTERVAL_TEXT),
            // As many references as there are objects elsewhere, for each is a call of its own.
            ssm: Population::distinct("ssm", Store::Ssm, objects.div_ceil(4), INTERVAL_TEXT),
            args,
        })
    }

    /// The report before anything is measured.
    fn empty(&self) -> Report {
        let n = u64::from(self.args.n);
        let references = self.population.values().len() as u64;
        let sample = n.min(SAMPLE as u64);
        let latency = |objects| Latency {
            objects,
            ..Latency::default()
        };
        Report {
            n,
            machine: procfs::machine(),
            steady: Steady {
                interval_s: INTERVAL.as_secs(),
                intervals: u64::from(INTERVALS),
                references,
                ..Steady::default()
            },
            steady_oos: SteadyOos {
                references: self.oos.values().len() as u64,
                ..SteadyOos::default()
            },
            steady_ssm: SteadySsm {
                references: self.ssm.values().len() as u64,
                ..SteadySsm::default()
            },
            shared: Shared {
                objects: n,
                references: 1,
                ..Shared::default()
            },
            rotate: latency(sample),
            fast_lane: latency(SAMPLE as u64),
            restart: Restart {
                due_60s: 60 / INTERVAL.as_secs() * references / KMS_BATCH,
                ..Restart::default()
            },
            outage: Outage {
                seconds: 60,
                ..Outage::default()
            },
            idle: Idle::default(),
            binary_mib: match self.program {
                Program::Ours(ref path, _) => programs::size_mib(path).ok(),
                Program::Other(_) => None,
            },
            ..Report::default()
        }
    }

    /// Convergence, and what an operator does in a healthy cloud.
    async fn busy<'w>(&'w self, world: &'w World, report: &mut Report) -> Result<Stage<'w>> {
        let (mut stage, cold) = scenario::cold(world, &self.population, &report.floor).await?;
        if self.args.wants(Scenario::Cold) {
            report.cold = cold;
        }
        let routine = [
            Scenario::Steady,
            Scenario::Rotate,
            Scenario::FastLane,
            Scenario::Restart,
            Scenario::Outage,
        ];
        if self.args.wants_any(&routine) {
            scenario::settle(&mut stage).await?;
        }
        if self.args.wants(Scenario::Steady) {
            report.steady = scenario::steady(&mut stage).await?;
        }
        if self.args.wants(Scenario::Rotate) {
            report.rotate = scenario::rotate(&mut stage).await?;
        }
        if self.args.wants(Scenario::FastLane) {
            report.fast_lane = scenario::fast_lane(&mut stage, &self.newcomers).await?;
        }
        Ok(stage)
    }

    /// What it does when something is taken away from it.
    async fn interrupted(&self, stage: Option<Stage<'_>>, report: &mut Report) -> Result<()> {
        let Some(mut stage) = stage else {
            return Ok(());
        };
        // What came before leaves events and a late slot or two behind.
        tokio::time::sleep(INTERVAL).await;
        stage.operator.during(stage.world.quiet()).await?;
        if self.args.wants(Scenario::Restart) {
            (stage, report.restart) = scenario::restart(stage).await?;
        }
        if self.args.wants(Scenario::Outage) {
            report.outage = scenario::outage(&mut stage).await?;
        }
        Ok(())
    }

    fn populations_beside(&self) -> [&Population; 3] {
        [&self.shared, &self.oos, &self.ssm]
    }

    /// Another world: an operator without objects, then with populations that are counted apart.
    async fn beside(&self, world: &World, report: &mut Report) -> Result<()> {
        let mut operator = Operator::start(&world.setup)?;
        if self.args.wants(Scenario::Idle) {
            report.idle = scenario::idle(&mut operator, IDLE).await?;
        }
        let counted = [Scenario::Shared, Scenario::SteadyOos, Scenario::SteadySsm];
        if !self.args.wants_any(&counted) {
            return Ok(());
        }
        tell::progress(
            "many objects of one reference, as many of OOS, and as many references of SSM",
        );
        scenario::converge(world, &self.populations_beside(), &mut operator).await?;
        let stores = [Store::Kms, Store::Oos, Store::Ssm];
        let [kms, oos, ssm] = scenario::reads(world, stores).await?;
        operator.check()?;
        if self.args.wants(Scenario::Shared) {
            report.shared.cloud_calls_per_interval = Some(kms);
        }
        if self.args.wants(Scenario::SteadyOos) {
            report.steady_oos.cloud_calls_per_interval = Some(oos);
        }
        if self.args.wants(Scenario::SteadySsm) {
            report.steady_ssm.cloud_calls_per_interval = Some(ssm);
        }
        Ok(())
    }
}
