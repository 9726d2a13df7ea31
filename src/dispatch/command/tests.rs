//! Attempts on real child processes.

use std::fs;
use std::path::PathBuf;

use rustix::process::Pid;
use tempfile::TempDir;

use super::*;
use crate::dispatch::outcome::Failure;
use crate::id::Id;
use crate::queue::Work;
use crate::task::TaskId;

/// A shell script that is run as a worker, and what is asked of it.
struct Script {
    argv: Vec<String>,
    env: Vec<(String, Secret)>,
    cwd: TempDir,
    secret_variables: Vec<String>,
    prompt: String,
    context: Option<String>,
    timeout: Duration,
    budget: Budget,
}

impl Script {
    fn new(text: &str) -> Self {
        Self {
            argv: ["sh", "-c", text].map(str::to_owned).to_vec(),
            env: vec![],
            cwd: tempfile::tempdir().unwrap(),
            secret_variables: vec![],
            prompt: "the prompt".to_owned(),
            context: None,
            timeout: Duration::from_secs(60),
            budget: Budget::new(64 << 20),
        }
    }

    fn run(&self) -> Outcome {
        let outcome = self.run_until(|_| future::pending::<()>());
        outcome.unwrap_or_else(|()| unreachable!("nothing stops it"))
    }

    /// Runs until the future that `stop` makes of the working directory is ready.
    fn run_until<S, F: Future<Output = S>>(
        &self,
        stop: impl FnOnce(PathBuf) -> F,
    ) -> Result<Outcome, S> {
        let program = Program {
            argv: &self.argv,
            env: &self.env,
            cwd: Some(self.cwd.path()),
            secret_variables: &self.secret_variables,
        };
        let order = Order {
            task: TaskId(Id::FIRST),
            attempt: 2,
            work: Work {
                prompt: self.prompt.clone(),
                context: self.context.clone(),
            },
            permit: self.budget.empty(),
            timeout: self.timeout,
        };
        let stop = stop(self.cwd.path().to_owned());
        let children = Children::new().unwrap();
        let watch = async {
            children.watch().await;
            unreachable!("watching never ends")
        };
        smol::block_on(run(program, order, &children, &self.budget, stop).or(watch))
    }

    /// The process whose number the script wrote to the file `name`.
    fn pid(&self, name: &str) -> Pid {
        let text = fs::read_to_string(self.cwd.path().join(name)).unwrap();
        Pid::from_raw(text.trim().parse().unwrap()).unwrap()
    }

    /// Waits until that process has ended: as an orphan it is reaped by the system, which may
    /// take a moment, and until then it is a zombie.
    fn wait_for_end(&self, name: &str) {
        let pid = self.pid(name).as_raw_nonzero();
        loop {
            let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The state follows the name, which is in parentheses.
            let state = status.rsplit(')').next().unwrap_or_default().trim();
            if state.is_empty() || state.starts_with(['Z', 'X']) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// Resolves when the script has written a whole line to the file `name`.
async fn written(cwd: PathBuf, name: &str) {
    let file = cwd.join(name);
    while !fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')) {
        Timer::after(Duration::from_millis(2)).await;
    }
}

fn completed(outcome: Outcome) -> String {
    match outcome {
        Outcome::Completed { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

fn failed(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(Failure { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

fn rejected(outcome: Outcome) -> String {
    match outcome {
        Outcome::Rejected(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_program_writes_is_the_result() {
    for (text, result) in [
        ("cat", r#"{"output":"the prompt"}"#),
        (r#"echo ' {"comment": "fine"} '"#, r#"{"comment": "fine"}"#),
        ("echo; printf 'a\\n\\n'", r#"{"output":"\na\n\n"}"#),
        ("exec >&- 2>&- <&-; exit 0", r#"{"output":""}"#),
        ("head -c 3", r#"{"output":"the"}"#),
        ("echo noise >&2; echo ok", r#"{"output":"ok\n"}"#),
    ] {
        assert_eq!(completed(Script::new(text).run()), result, "{text}");
    }
}

#[test]
fn other_exits_fail_the_attempt_with_the_end_of_standard_error() {
    for (text, error) in [
        ("exit 2", "exited with 2".to_owned()),
        (
            "echo '{}'; echo boom >&2; exit 1",
            "exited with 1: boom".to_owned(),
        ),
        (
            "head -c 200000 /dev/zero | tr '\\0' x >&2; head -c 4096 /dev/zero | tr '\\0' y >&2; exit 3",
            format!("exited with 3: {}", "y".repeat(4_096)),
        ),
        ("kill -KILL $$", "was ended by signal 9".to_owned()),
        (
            "echo late >&2; kill -SEGV $$",
            "was ended by signal 11: late".to_owned(),
        ),
    ] {
        assert_eq!(failed(Script::new(text).run()), error);
    }
}

#[test]
fn a_program_that_cannot_be_started_fails_the_attempt_and_is_looked_at() {
    let mut script = Script::new("");
    for program in ["/no/such/agent", "no-such-agent", "/etc/passwd"] {
        script.argv = vec![program.to_owned()];
        match script.run() {
            Outcome::Failed(Failure {
                error,
                is_unreachable: true,
            }) => {
                let expected = format!("{program:?} could not be started: ");
                assert!(error.starts_with(&expected), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_environment_is_the_servers_without_its_secrets() {
    // CARGO and PATH are set for every test; here they stand for any variable of the server.
    let mut script = Script::new(
        "echo \"$MECHA_TASK_ID $MECHA_ATTEMPT $MECHA_CONTEXT ${PATH:+path} ${CARGO-none} $OWN\"; pwd",
    );
    script.secret_variables = vec!["CARGO".to_owned(), "NOT_SET".to_owned()];
    script.env = vec![("OWN".to_owned(), Secret::new("own value"))];
    script.context = Some(r#"{"pr": 7}"#.to_owned());
    let cwd = script.cwd.path().canonicalize().unwrap();
    let expected = format!(
        "0000000000000000 2 {{\"pr\": 7}} path none own value\n{}\n",
        cwd.display()
    );
    let result: serde_json::Value = serde_json::from_str(&completed(script.run())).unwrap();
    assert_eq!(result["output"], expected);

    // The worker's own environment outranks what is kept from it.
    script.env.push(("CARGO".to_owned(), Secret::new("given")));
    script.context = None;
    script.argv[2] = "echo \"${MECHA_CONTEXT-none} $CARGO ${MECHA_API_KEY-none}\"".to_owned();
    assert_eq!(completed(script.run()), r#"{"output":"{} given none\n"}"#);
}

#[test]
fn a_context_that_fits_no_variable_fails_the_task() {
    let mut script = Script::new("printf %s \"$MECHA_CONTEXT\" | wc -c");
    let context = |len: usize| Some(format!("{{\"a\":\"{}\"}}", "x".repeat(len - 8)));
    script.context = context(CONTEXT_MAX);
    let expected = format!("{{\"output\":\"{CONTEXT_MAX}\\n\"}}");
    assert_eq!(completed(script.run()), expected);
    script.context = context(CONTEXT_MAX + 1);
    let error = rejected(script.run());
    assert!(error.starts_with("the context has 131058 bytes"), "{error}");
}

#[test]
fn arguments_that_the_system_does_not_pass_on_fail_the_task() {
    let mut script = Script::new("true");
    script.env = vec![("BIG".to_owned(), Secret::new("x".repeat(200_000)))];
    let error = rejected(script.run());
    assert!(error.contains("more than the system passes on"), "{error}");
}

#[test]
fn a_large_prompt_need_not_be_read() {
    let mut script = Script::new("exec <&-; echo done");
    script.prompt = "x".repeat(8 << 20);
    assert_eq!(completed(script.run()), r#"{"output":"done\n"}"#);
    script.argv[2] = "echo done".to_owned();
    assert_eq!(completed(script.run()), r#"{"output":"done\n"}"#);
    script.argv[2] = "wc -c".to_owned();
    assert_eq!(completed(script.run()), r#"{"output":"8388608\n"}"#);
}

#[test]
fn a_large_prompt_goes_in_while_output_comes_out() {
    let mut script = Script::new("tee /dev/stderr");
    script.prompt = "x".repeat(2 << 20);
    let result = completed(script.run());
    assert_eq!(result.len(), (2 << 20) + br#"{"output":""}"#.len());
}

#[test]
fn output_without_end_is_cut_off_and_fails_the_task() {
    let script = Script::new("echo $$ > pid; yes");
    let error = rejected(script.run());
    assert_eq!(error, "wrote more than 10 MiB to standard output");
    script.wait_for_end("pid");
    assert_eq!(script.budget.free(), script.budget.size());
}

#[test]
fn output_that_the_budget_has_no_room_for_breaks_the_attempt_off() {
    let mut script =
        Script::new("echo $$ > pid; head -c 1000000 /dev/zero | tr '\\0' x; sleep 600");
    script.budget = Budget::new(100_000);
    assert!(matches!(script.run(), Outcome::NoMemory));
    script.wait_for_end("pid");
}

#[test]
fn a_timeout_ends_the_whole_group() {
    let mut script = Script::new(
        "echo begun >&2; (trap '' TERM; echo $$ > leader; sh -c 'echo $$ > stubborn; sleep 600') & \
         sleep 600 & echo $! > meek; wait",
    );
    script.timeout = Duration::from_millis(500);
    assert_eq!(failed(script.run()), "did not end within 500ms: begun");
    for name in ["stubborn", "meek", "leader"] {
        script.wait_for_end(name);
    }
}

#[test]
fn a_flood_on_standard_error_hides_neither_timeout_nor_exit() {
    let mut script = Script::new("echo $$ > pid; exec yes flood >&2");
    script.timeout = Duration::from_millis(300);
    let error = failed(script.run());
    assert!(error.starts_with("did not end within 300ms: "), "{error}");
    assert!(error.contains("\nflood\n"), "{error}");
    script.wait_for_end("pid");
    let script = Script::new("yes flood >&2 & sleep 0.2; echo done");
    assert_eq!(completed(script.run()), r#"{"output":"done\n"}"#);
}

#[test]
fn a_program_that_ends_on_sigterm_is_not_waited_for() {
    let mut script = Script::new("trap 'echo saved >&2; exit 0' TERM; sleep 600 & echo up; wait");
    script.timeout = Duration::from_millis(300);
    let begin = crate::clock::monotonic();
    assert_eq!(failed(script.run()), "did not end within 300ms: saved");
    // Less than the timeout and the whole grace period.
    assert!(begin.elapsed() < Duration::from_millis(300) + GRACE);
}

#[test]
fn a_program_that_has_closed_its_streams_is_still_timed() {
    let mut script = Script::new("exec >&- 2>&-; echo $$ > pid; sleep 600");
    script.timeout = Duration::from_millis(200);
    assert_eq!(failed(script.run()), "did not end within 200ms");
    script.wait_for_end("pid");
}

#[test]
fn a_stopped_attempt_leaves_no_process() {
    let script = Script::new("sleep 600 & echo $! > child; echo $$ > pid; wait");
    let stopped = script.run_until(|cwd| async move {
        written(cwd, "pid").await;
        "cancelled"
    });
    assert_eq!(stopped.err(), Some("cancelled"));
    script.wait_for_end("pid");
    script.wait_for_end("child");
}

#[test]
fn what_is_left_of_the_group_after_the_exit_is_killed() {
    let script = Script::new("(trap '' TERM HUP; sleep 600) & echo $! > child; echo done");
    let begin = crate::clock::monotonic();
    assert_eq!(completed(script.run()), r#"{"output":"done\n"}"#);
    assert!(
        begin.elapsed() < Duration::from_secs(30),
        "it did not wait for the pipe to close"
    );
    script.wait_for_end("child");
}

#[test]
fn a_daemon_that_keeps_the_pipe_open_holds_nothing_up() {
    // It has left the group, and lives for ten seconds at most.
    let script = Script::new(
        "setsid sh -c 'echo $$ > daemon; exec sleep 10' & while ! test -s daemon; do sleep 0.01; done; echo done",
    );
    let begin = crate::clock::monotonic();
    assert_eq!(completed(script.run()), r#"{"output":"done\n"}"#);
    assert!(begin.elapsed() < Duration::from_secs(9));
    rustix::process::kill_process(script.pid("daemon"), Signal::KILL).unwrap();
}

#[test]
fn many_programs_run_at_once() {
    let children = Children::new().unwrap();
    let budget = Budget::new(1 << 20);
    let argv = ["sh", "-c", "cat; exit 0"].map(str::to_owned);
    let program = Program {
        argv: &argv,
        env: &[],
        cwd: None,
        secret_variables: &[],
    };
    let executor = smol::LocalExecutor::new();
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let order = Order {
                task: TaskId(Id::FIRST),
                attempt: number,
                work: Work {
                    prompt: number.to_string(),
                    context: None,
                },
                permit: budget.empty(),
                timeout: Duration::from_secs(60),
            };
            executor.spawn(run(
                program,
                order,
                &children,
                &budget,
                future::pending::<()>(),
            ))
        })
        .collect();
    let all = async {
        for (number, task) in tasks.into_iter().enumerate() {
            let result = completed(task.await.unwrap());
            assert_eq!(result, format!("{{\"output\":\"{number}\"}}"));
        }
    };
    smol::block_on(executor.run(all).or(async {
        children.watch().await;
    }));
}
