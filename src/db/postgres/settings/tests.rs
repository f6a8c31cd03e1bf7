//! URL and environment in, settings out.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// An environment of user `me` without files.
fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment {
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        home: None,
        user: Some("me".to_owned()),
        socket_folders: Vec::new(),
    }
}

/// A URL, variables, and what comes of them.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

fn read(url: &str, variables: &[(&str, &str)]) -> Settings {
    Settings::from_url_in(url, &environment(variables)).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refuse(url: &str, variables: &[(&str, &str)]) -> String {
    match Settings::from_url_in(url, &environment(variables)) {
        Ok(settings) => panic!("{url} was read as {settings:?}"),
        Err(error) => error.to_string(),
    }
}

fn password(settings: &Settings) -> Option<&str> {
    settings.password_for(&settings.hosts[0]).map(Secret::reveal)
}

#[test]
fn addresses_come_from_the_url_and_then_from_the_environment() {
    let cases: &[Case] = &[
        ("postgres://", &[], "me@localhost:5432/me"),
        ("postgresql://db.example", &[], "me@db.example:5432/me"),
        ("postgres://u@h:6000/d", &[], "u@h:6000/d"),
        ("postgres://u@h", &[], "u@h:5432/u"),
        ("postgres:///d", &[], "me@localhost:5432/d"),
        ("postgres://h1:1,h2,[::1]:3/d", &[], "me@h1:1,h2:5432,[::1]:3/d"),
        ("postgres://[2001:db8::1]/d", &[], "me@[2001:db8::1]:5432/d"),
        ("postgres://h/d?port=7&user=x&dbname=y", &[], "x@h:7/y"),
        ("postgres://u%40corp@h/my%20db", &[], "u@corp@h:5432/my db"),
        ("postgres://%2Ftmp%2Fpg:6000/d", &[], "me@/tmp/pg:6000/d"),
        ("postgres:///d?host=/tmp/pg", &[], "me@/tmp/pg:5432/d"),
        ("postgres://h1,h2/d?port=6000", &[], "me@h1:6000,h2:6000/d"),
        (
            "postgres://",
            &[("PGHOST", "env"), ("PGPORT", "1"), ("PGUSER", "u"), ("PGDATABASE", "d")],
            "u@env:1/d",
        ),
        ("postgres://", &[("PGHOST", "/run/x")], "me@/run/x:5432/me"),
        ("postgres://", &[("PGHOST", "a,b"), ("PGPORT", "1,2")], "me@a:1,b:2/me"),
        ("postgres://", &[("PGHOSTADDR", "10.0.0.1")], "me@10.0.0.1:5432/me"),
        ("postgres://", &[("PGHOST", "")], "me@localhost:5432/me"),
        ("postgres://h:9/d", &[("PGHOST", "env"), ("PGPORT", "1"), ("PGDATABASE", "e")], "me@h:9/d"),
        ("postgres://h/d", &[("PGPORT", "1"), ("PGUSER", "u")], "u@h:1/d"),
        ("postgres://u@/d?sslmode=disable&application_name=a", &[], "u@localhost:5432/d"),
    ];
    for (url, variables, expected) in cases {
        assert_eq!(read(url, variables).address(), *expected, "{url} {variables:?}");
    }
}

#[test]
fn a_host_in_the_url_is_not_redirected_by_an_address_of_the_environment() {
    let settings = read("postgres://typed/d", &[("PGHOSTADDR", "10.0.0.1")]);
    assert_eq!(settings.hosts[0].place, Place::Tcp { name: "typed".to_owned(), address: None });
    let both = read("postgres://typed/d?hostaddr=10.0.0.2", &[]);
    let address = Some("10.0.0.2".parse().expect("an address"));
    assert_eq!(both.hosts[0].place, Place::Tcp { name: "typed".to_owned(), address });
}

#[test]
fn what_cannot_be_read_is_refused_with_a_remedy() {
    let cases: &[Case] = &[
        ("mysql://h/d", &[], "is not a PostgreSQL URL"),
        ("postgres://h/d?sslmod=disable", &[], "did you mean `sslmode`?"),
        ("postgres://h/d?sslmod=disable", &[], "connect_timeout"),
        ("postgres://h/d?sslmode=maybe", &[], "expected disable, allow, prefer"),
        ("postgres://h/d", &[("PGSSLMODE", "sometimes")], "`sometimes` is no value of `sslmode`"),
        ("postgres://h/d?sslrootcert=system&sslmode=require", &[], "verify-full"),
        ("postgres://h/d?channel_binding=yes", &[], "disable, prefer or require"),
        ("postgres://h/d?target_session_attrs=rw", &[], "read-write"),
        ("postgres://h/d?connect_timeout=soon", &[], "whole number of seconds"),
        ("postgres://h:70000/d", &[], "1 to 65535"),
        ("postgres://h:0/d", &[], "1 to 65535"),
        ("postgres://[::1/d", &[], "`]`"),
        ("postgres://[::1]x/d", &[], "`:` expected"),
        ("postgres://h/d%zz", &[], "hexadecimal"),
        ("postgres://h/d?sslmode", &[], "no value"),
        ("postgres://h1,h2/d?port=1,2,3", &[], "3 ports do not fit 2 hosts"),
        ("postgres://h1,h2/d?hostaddr=1.1.1.1", &[], "1 values of `hostaddr` do not fit 2 hosts"),
        ("postgres://h/d?hostaddr=h", &[], "IPv4 or IPv6"),
        ("postgres://@%40abstract/d", &[], "abstract"),
    ];
    for (url, variables, expected) in cases {
        let message = refuse(url, variables);
        assert!(message.contains(expected), "{url}: {message}");
    }
    let nobody = Environment::empty();
    assert!(matches!(Settings::from_url_in("postgres://h/d", &nobody), Err(SettingsError::NoUser)));
}

#[test]
fn no_message_and_no_debug_shows_a_password() {
    for url in [
        "postgres://u:hunter2/x@h/d",
        "postgres://u:hunter2?x@h/d",
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2%zz@h/d",
        "postgres://u:hunter2@h/d?password",
        "postgres://u:hunter2@h/d?pasword=hunter2",
        "postgres://h/d?password=hunter2&sslmode=no",
    ] {
        let message = refuse(url, &[]);
        assert!(!message.contains("hunter"), "{url}: {message}");
    }
    for url in [
        "postgres://u:se?cret@h/d",
        "postgres://u:se?cr=et@h/d",
        "postgres://u:se/cret@h/d",
        "postgres://u:1?cret@h/d",
    ] {
        let message = refuse(url, &[]);
        assert!(!message.contains("cr") && message.contains("%3F"), "{url}: {message}");
    }
    assert_eq!(read("postgres://h:5432/d?user=me@corp", &[]).user(), "me@corp");
    let settings = read("postgres://u:hunter2@h/d?password=hunter2", &[]);
    for text in [format!("{settings:?}"), settings.address(), settings.redacted_url()] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn the_url_that_is_shown_leads_to_the_same_server() {
    for url in ["postgres://u%40corp@h1:1,[::1]:2/my%20db", "postgres://u@%2Ftmp%2Fpg:6000/d"] {
        let settings = read(url, &[]);
        assert_eq!(settings.redacted_url(), url);
        assert_eq!(read(&settings.redacted_url(), &[]).address(), settings.address());
    }
}

#[test]
fn options_have_libpqs_meaning() {
    let settings = read(
        "postgres://h/d?sslmode=verify-ca&connect_timeout=3&application_name=nightly&options=-c%20a%3Db&channel_binding=require",
        &[("PGOPTIONS", "-c x=y")],
    );
    assert_eq!(settings.tls.mode, SslMode::VerifyCa);
    assert_eq!(settings.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(settings.application_name("pool"), "dbdyno pool: nightly");
    assert_eq!(settings.options.as_deref(), Some("-c a=b"));
    assert_eq!(settings.channel_binding, ChannelBinding::Require);

    let plain = read("postgres://h/d", &[("PGOPTIONS", "-c x=y"), ("PGCONNECT_TIMEOUT", "0")]);
    assert_eq!(plain.tls.mode, SslMode::Prefer);
    assert_eq!(plain.connect_timeout, None);
    assert_eq!(plain.application_name("probe"), "dbdyno probe");
    assert_eq!(plain.options.as_deref(), Some("-c x=y"));
    assert_eq!(read("postgres://h/d", &[]).connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!(read("postgres://h/d?sslrootcert=system", &[]).tls.mode, SslMode::VerifyFull);
    assert_eq!(read("postgres://h/d?ssl=true", &[]).tls.mode, SslMode::Require);
    let warned = read("postgres://h/d?keepalives=1", &[]);
    assert!(warned.warnings()[0].contains("keepalives"), "{:?}", warned.warnings());
}

#[test]
fn loopback_addresses_and_sockets_are_this_machine() {
    for (url, same) in [
        ("postgres://localhost/d", true),
        ("postgres://127.0.0.2/d", true),
        ("postgres://[::1]/d", true),
        ("postgres:///d?host=/tmp", true),
        ("postgres://db.example/d?hostaddr=127.0.0.1", true),
        ("postgres://localhost/d?hostaddr=10.0.0.1", false),
        ("postgres://localhost,db.example/d", false),
    ] {
        assert_eq!(read(url, &[]).same_host(), same, "{url}");
    }
}

#[test]
fn passwords_come_from_the_url_then_the_environment_then_the_file() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = home.path().join(".pgpass");
    std::fs::write(&file, "h:5432:d:u:by_host\nh:5432:e:u:other_database\nlocalhost:*:*:*:by_socket\n")
        .expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let at_home = |variables| Environment { home: Some(home.path().to_owned()), ..environment(variables) };

    let both = [("PGPASSWORD", "by_variable")];
    let read = |url, variables| Settings::from_url_in(url, &at_home(variables)).expect("settings");
    assert_eq!(password(&read("postgres://u:by_url@h/d", &both)), Some("by_url"));
    assert_eq!(password(&read("postgres://u@h/d", &both)), Some("by_variable"));
    assert_eq!(password(&read("postgres://u@h/d", &[])), Some("by_host"));
    assert_eq!(password(&read("postgres://u@h/d", &[]).with_database("e")), Some("other_database"));
    assert_eq!(password(&read("postgres://u@h:6000/d", &[])), None);
    assert_eq!(password(&read("postgres://u@/d?host=/tmp", &[])), Some("by_socket"));
    assert_eq!(password(&read("postgres://u@/d?host=/elsewhere", &[])), None);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("its mode");
    let open = read("postgres://u@h/d", &[]);
    assert_eq!(password(&open), None);
    assert!(open.warnings()[0].contains("is ignored"), "{:?}", open.warnings());
}

#[test]
fn a_service_stands_between_the_url_and_the_environment() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = home.path().join("services.conf");
    let text = "# services\n[other]\nhost=o\n\n[shop]\nhost = s\nport=6001\nuser=service\nsslmode=disable\n[third]\nhost=t\n";
    std::fs::write(&file, text).expect("a file");
    let file = file.to_string_lossy().into_owned();
    let variables = [
        ("PGSERVICEFILE", file.as_str()),
        ("PGSERVICE", "shop"),
        ("PGUSER", "variable"),
        ("PGDATABASE", "d"),
    ];

    assert_eq!(read("postgres://", &variables).address(), "service@s:6001/d");
    assert_eq!(read("postgres://u@h/x", &variables).address(), "u@h:6001/x");
    assert_eq!(read("postgres://?service=other", &variables).address(), "variable@o:5432/d");
    assert_eq!(read("postgres://", &variables).tls.mode, SslMode::Disable);

    let missing = refuse("postgres://?service=absent", &variables);
    assert!(missing.contains("`absent` is not defined") && missing.contains("services.conf"), "{missing}");
    let nowhere = refuse("postgres://?service=absent", &[]);
    assert!(nowhere.contains("PGSERVICEFILE"), "{nowhere}");

    std::fs::write(home.path().join("services.conf"), "[shop]\nhots=h\n").expect("a file");
    let misspelt = refuse("postgres://", &variables);
    assert!(misspelt.contains("line 2") && misspelt.contains("did you mean `host`?"), "{misspelt}");
}

#[test]
fn a_socket_is_found_where_servers_put_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(".s.PGSQL.6000"), "").expect("a file in the socket's place");
    let environment =
        Environment { socket_folders: vec!["/nowhere".into(), folder.path().to_owned()], ..environment(&[]) };
    let host = |url| Settings::from_url_in(url, &environment).expect("settings").hosts[0].clone();
    assert_eq!(host("postgres://?port=6000").place, Place::Socket(folder.path().to_owned()));
    assert_eq!(host("postgres://?port=6000").socket(), Some(folder.path().join(".s.PGSQL.6000")));
    assert_eq!(
        host("postgres://?port=6001").place,
        Place::Tcp { name: "localhost".to_owned(), address: None }
    );
}
