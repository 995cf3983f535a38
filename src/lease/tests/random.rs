//! Anything that may happen to three processes, in any order.

use std::time::Duration;

use proptest::prelude::*;

use super::world::{Line, Process, World, s};

#[derive(Debug, Clone, Copy)]
enum Act {
    Line(Line),
    Freeze,
    Thaw,
    Kill,
    /// The wall clock is set, by seconds.
    Clock(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Line(Line::Works)),
        1 => Just(Act::Line(Line::Refuses)),
        1 => Just(Act::Line(Line::LosesRequests)),
        1 => Just(Act::Line(Line::LosesAnswers)),
        2 => (0_u64..20_000).prop_map(|millis| Act::Line(Line::Slow(millis))),
        2 => Just(Act::Freeze),
        2 => Just(Act::Thaw),
        1 => Just(Act::Kill),
        1 => (-100_i64..100).prop_map(Act::Clock),
    ]
}

fn run(acts: Vec<(usize, Act, u64)>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new();
        let mut three = ["a", "b", "c"].map(|name| world.process(name));
        three.iter_mut().for_each(Process::start);
        let mut lives = 0;
        for (who, act, millis) in acts {
            let process = &mut three[who];
            match act {
                Act::Line(line) => process.line().set(line),
                Act::Freeze => process.freeze(),
                Act::Thaw => process.thaw(),
                Act::Clock(seconds) => process.clock().set(seconds),
                Act::Kill => {
                    process.kill();
                    lives += 1;
                    // Another process never has the name of an earlier one.
                    *process = world.process(&format!("{who}-{lives}"));
                    process.start();
                }
            }
            for _ in 0..millis.div_ceil(50) {
                world.pass(Duration::from_millis(50)).await;
                world.leader(&three);
            }
        }
        for process in &three {
            process.line().set(Line::Works);
            process.thaw();
        }
        // What was slow may still arrive once.
        world.leader_within(s(40), &three).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_two_lead_and_in_the_end_one_does(
        acts in proptest::collection::vec((0_usize..3, act(), 0_u64..15_000), 1..40),
    ) {
        run(acts);
    }
}
