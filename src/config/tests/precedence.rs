//! Flags, variables and the file: who beats whom, what is refused, what is warned of.

use std::path::Path;

use super::*;

#[test]
fn a_flag_beats_a_variable_and_a_variable_the_file() {
    let place = Place::with(
        "addr = \"127.0.0.1:1\"\ndata = \"/file\"\napi_key = [\"env:ABSENT\", \"file-key\"]\n",
    );
    let variables = [
        ("MECHA_ADDR", "127.0.0.1:2"),
        ("MECHA_DATA", "/variable"),
        ("MECHA_API_KEY", "variable-key"),
        ("MECHA_LOG", "json"),
    ];
    let mut args = Args {
        config: Some(place.file()),
        ..Args::default()
    };
    let config = load_with(&args, &variables).unwrap();
    assert_eq!(config.addr.port(), 2);
    assert_eq!(config.data, Path::new("/variable"));
    assert_eq!(config.api_keys, [Secret::new("variable-key")]);
    assert_eq!(config.log, LogFormat::Json);
    assert_eq!(config.secret_variables, ["ABSENT", "MECHA_API_KEY"]);

    args.addr = Some("localhost:3".to_owned());
    args.data = Some(PathBuf::from("~/flag"));
    args.api_key = Some(Secret::new("env:FLAG_KEY"));
    args.log = Some("text".to_owned());
    let config = load_with(
        &args,
        &[&variables[..], &[("FLAG_KEY", "flag-key")]].concat(),
    )
    .unwrap();
    assert_eq!(config.addr.to_string(), "127.0.0.1:3");
    assert_eq!(config.data, Path::new("/home/ann/flag"));
    assert_eq!(config.api_keys, [Secret::new("flag-key")]);
    assert_eq!(config.log, LogFormat::Text);
    assert_eq!(
        config.secret_variables,
        ["ABSENT", "FLAG_KEY", "MECHA_API_KEY"]
    );
}

#[test]
fn the_variable_names_the_file_unless_a_flag_does() {
    let place = Place::with("drain = \"5s\"\n");
    let file = place.file().display().to_string();
    let config = load_with(&Args::default(), &[("MECHA_CONFIG", &file)]).unwrap();
    assert_eq!(config.drain, Duration::from_secs(5));
    let other = Place::with("drain = \"6s\"\n");
    let args = Args {
        config: Some(other.file()),
        ..Args::default()
    };
    let config = load_with(&args, &[("MECHA_CONFIG", &file)]).unwrap();
    assert_eq!(config.drain, Duration::from_secs(6));
}

#[test]
fn wrong_flags_and_variables_are_reported_by_name() {
    let with = |change: fn(&mut Args)| {
        let mut args = Args::default();
        change(&mut args);
        args
    };
    for (args, variable, part) in [
        (
            with(|a| a.addr = Some("1".into())),
            None,
            "--addr \"1\": not an address",
        ),
        (
            with(|a| a.addr = Some(String::new())),
            None,
            "--addr \"\": not an address",
        ),
        (
            with(|a| a.log = Some("xml".into())),
            None,
            "--log \"xml\": not a format; write text or json",
        ),
        (
            with(|a| a.data = Some(PathBuf::new())),
            None,
            "--data \"\": an empty path",
        ),
        (
            with(|a| a.api_key = Some(Secret::new(""))),
            None,
            "--api-key: an empty secret",
        ),
        (
            with(|a| a.api_key = Some(Secret::new("s3 cr3t"))),
            None,
            "--api-key: the secret cannot",
        ),
        (
            with(|a| a.api_key = Some(Secret::new("env:NO"))),
            None,
            "--api-key: the variable NO",
        ),
        (
            Args::default(),
            Some(("MECHA_ADDR", ":1")),
            "MECHA_ADDR \":1\": the host is missing",
        ),
        (
            Args::default(),
            Some(("MECHA_ADDR", "")),
            "MECHA_ADDR is set and empty",
        ),
        (
            Args::default(),
            Some(("MECHA_API_KEY", "")),
            "MECHA_API_KEY is set and empty",
        ),
        (
            Args::default(),
            Some(("MECHA_CONFIG", "")),
            "MECHA_CONFIG is set and empty",
        ),
        (
            Args::default(),
            Some(("MECHA_DATA", "")),
            "MECHA_DATA \"\": an empty path",
        ),
        (
            Args::default(),
            Some(("MECHA_LOG", "XML")),
            "MECHA_LOG \"XML\": not a format",
        ),
        (
            Args::default(),
            Some(("MECHA_ALLOW_ANONYMOUS", "yes")),
            "write 1 to allow it",
        ),
        (Args::default(), Some(("HOME", "")), "HOME is not set"),
    ] {
        let error = load_with(&args, variable.as_slice()).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("s3 cr3t"), "{error}");
    }
}

#[test]
fn an_open_api_stays_on_this_machine_unless_it_is_allowed() {
    for (addr, key, allowed, is_refused) in [
        ("127.0.0.1:1", None, "0", false),
        ("127.8.0.1:1", None, "0", false),
        ("[::1]:1", None, "0", false),
        ("[::ffff:127.0.0.1]:1", None, "0", false),
        ("0.0.0.0:1", None, "0", true),
        ("[::]:1", None, "", true),
        ("10.0.0.1:1", None, "0", true),
        ("0.0.0.0:1", None, "1", false),
        ("0.0.0.0:1", Some("key"), "0", false),
    ] {
        let mut variables = vec![("MECHA_ADDR", addr), ("MECHA_ALLOW_ANONYMOUS", allowed)];
        variables.extend(key.map(|key| ("MECHA_API_KEY", key)));
        let loaded = load_with(&Args::default(), &variables);
        assert_eq!(loaded.is_err(), is_refused, "{addr} {loaded:?}");
        match loaded {
            Err(error) => assert!(error.to_string().contains("--allow-anonymous"), "{error}"),
            Ok(config) => assert_eq!(config.warnings.len(), usize::from(allowed == "1")),
        }
    }
}

#[test]
fn an_api_whose_keys_cannot_be_read_is_not_called_open() {
    for content in [
        "api_key = []",
        "api_key = \"a b\"",
        "api_key = \"env:NO\"",
        "api_key = x",
    ] {
        let content = format!("addr = \"0.0.0.0:1\"\n{content}\n");
        let problems = Place::with(content).problems(&[]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].0, 2, "{problems:?}");
    }
}

#[test]
fn what_is_unwise_is_warned_of() {
    let place = Place::with("api_key = \"literal\"\n");
    place.set_mode(0o644);
    let warnings = place.load(&[]).unwrap().warnings;
    assert!(warnings[0].contains("chmod 600"), "{warnings:?}");
    assert!(!warnings[0].contains("literal"));

    let place = Place::with("api_key = \"env:KEY\"\nlimits.memory = \"1MiB\"\n");
    place.set_mode(0o644);
    let warnings = place.load(&[("KEY", "k")]).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("limits.task_body (8MiB) is above"),
        "{warnings:?}"
    );

    let place = Place::with(
        "[[worker]]\nname = \"a\"\ncommand = [\"no-such-program\"]\n\
         [[worker]]\nname = \"b\"\ncommand = [\"/no/such\"]\n\
         [[worker]]\nname = \"c\"\ncommand = [\"cat\"]\ncwd = \"/no/such\"\n\
         [[worker]]\nname = \"d\"\ncommand = [\"cat\"]\n\
         [[worker]]\nname = \"e\"\ncommand = [\"cat\"]\nenv = { PATH = \"/no\" }\n\
         [[worker]]\nname = \"f\"\ncommand = [\"bin/cat\"]\ncwd = \"/\"\n",
    );
    let warnings = place.load(&[]).unwrap().warnings;
    let parts = [
        "worker a: there is no program",
        "worker b:",
        "worker c: the directory",
        "worker e:",
    ];
    assert_eq!(warnings.len(), parts.len(), "{warnings:?}");
    for (warning, part) in warnings.iter().zip(parts) {
        assert!(warning.contains(part), "{warning}");
    }

    let args = Args {
        api_key: Some(Secret::new("literal")),
        ..Args::default()
    };
    let warnings = load_with(&args, &[]).unwrap().warnings;
    assert!(warnings[0].contains("list of processes"), "{warnings:?}");
}

#[test]
fn a_weak_signature_is_warned_of() {
    let place = Place::with(
        "[[source]]\nname = \"a\"\nkind = \"hmac\"\nsecret = \"env:KEY\"\nheader = \"x\"\nalgorithm = \"sha1\"\n",
    );
    let warnings = place.load(&[("KEY", "k")]).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("source a: signatures with sha1 are weak"),
        "{warnings:?}"
    );
}

#[test]
fn no_secret_is_shown() {
    let place = Place::with(
        "api_key = \"s3cr3t\"\n\
         [[worker]]\nname = \"a\"\nendpoint = \"http://a\"\ntoken = \"s3cr3t\"\n\
         [[worker]]\nname = \"b\"\ncommand = [\"cat\", \"s3cr3t\"]\nenv = { A = \"s3cr3t\" }\n\
         [[source]]\nname = \"c\"\nkind = \"github\"\nsecret = \"s3cr3t\"\n",
    );
    place.set_mode(0o644);
    let args = Args {
        config: Some(place.file()),
        ..Args::default()
    };
    let config = load_with(&args, &[]).unwrap();
    let summary = format!("{:?}", config.summary());
    assert!(!summary.contains("s3cr3t"), "{summary}");
    assert!(!format!("{:?}", config.api_keys).contains("s3cr3t"));
    assert!(!format!("{:?}", config.workers[0]).contains("s3cr3t"));
    assert!(!format!("{:?}", config.sources).contains("s3cr3t"));
    assert!(!format!("{:?}", config.warnings).contains("s3cr3t"));
    let args = Args {
        api_key: Some(Secret::new("s3cr3t")),
        ..Args::default()
    };
    assert!(!format!("{args:?}").contains("s3cr3t"));
}

#[test]
fn what_a_reload_cannot_change_is_named() {
    let running = load_with(&Args::default(), &[]).unwrap();
    let place = Place::with(
        "addr = \"127.0.0.1:5\"\napi_key = \"k\"\ndrain = \"1s\"\n\
         limits.queue = 5\nlimits.connections = 5\n\
         [[worker]]\nname = \"a\"\nendpoint = \"http://a\"\n",
    );
    let new = place.load(&[]).unwrap();
    assert_eq!(new.needs_restart(&running), ["addr", "limits.connections"]);
    assert_eq!(new.needs_restart(&new), [] as [&str; 0]);
}

#[test]
fn a_small_host_takes_smaller_webhooks_unless_somebody_says_otherwise() {
    for (limits, webhook_body) in [
        ("memory = \"64MiB\"", 25 << 20),
        ("memory = \"25MiB\"", 25 << 20),
        ("memory = \"24MiB\"", 15 << 20),
        ("memory = \"16MiB\"", 10 << 20),
        ("memory = \"16MiB\"\nwebhook_body = \"12MiB\"", 12 << 20),
    ] {
        let place = Place::with(format!("[limits]\n{limits}\n"));
        let args = Args {
            config: Some(place.file()),
            ..Args::default()
        };
        let config = load_with(&args, &[]).unwrap();
        let limit = config.limits.webhook_body(config.limits.memory);
        assert_eq!(limit, webhook_body, "{limits}");
    }
}
