//! Assets over HTTP.

use super::process::{Program, Service, ask};
use crate::lab::Lab;

struct Served {
    lab: Lab,
    service: Service,
    digest: String,
}

/// A service with one asset of a team's, `0123456789` many times.
fn served() -> Option<Served> {
    let lab = Lab::new()?;
    lab.notebook("in.ipynb", &["print('0123456789' * 10_000, end='')"]);
    lab.write("tokens", "team-a aaaaaaaaaaaaaaaa\nteam-b bbbbbbbbbbbbbbbb\n");
    lab.write("a", "aaaaaaaaaaaaaaaa");
    lab.write("key", "a secret of some length".replace(' ', "-").as_str());
    let more = [
        "--http",
        "127.0.0.1:0",
        "--token-file",
        "tokens",
        "--url-key-file",
        "key",
    ];
    let service = Service::start_on(&lab, Program::Assets, "127.0.0.1:0", &more);
    let run = [
        "run",
        "in.ipynb",
        "--no-output",
        "--assets",
        &service.url,
        "--service-token-file",
        "a",
    ];
    let run = lab.run(&run);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let listed = lab.run(&[
        "assets",
        "list",
        "--json",
        "--store",
        &service.url,
        "--service-token-file",
        "a",
    ]);
    let at = listed.stdout.find("sha256:").unwrap();
    let digest = listed.stdout[at..at + 71].to_owned();
    Some(Served { lab, service, digest })
}

#[test]
fn an_asset_is_given_to_its_namespace() {
    let Some(served) = served() else { return };
    let path = format!("/assets/{}", served.digest);
    let get = |headers: &[&str]| ask(served.service.page(), &path, headers);
    let a = "Authorization: Bearer aaaaaaaaaaaaaaaa";
    let whole = get(&[a]);
    assert_eq!((whole.status, whole.body.len()), (200, 100_000));
    assert!(
        whole.header("cache-control").unwrap().starts_with("private"),
        "{}",
        whole.head
    );
    assert_eq!(whole.header("content-type"), Some("text/plain"));
    let tag = whole.header("etag").unwrap();
    assert_eq!(tag, format!("\"{}\"", served.digest));
    assert_eq!(get(&[a, &format!("If-None-Match: {tag}")]).status, 304);
    let part = get(&[a, "Range: bytes=5-11"]);
    assert_eq!((part.status, part.body.as_str()), (206, "5678901"));
    assert_eq!(part.header("content-range"), Some("bytes 5-11/100000"));
    assert_eq!(get(&[a, "Range: bytes=-3"]).body, "789");
    assert_eq!(get(&[a, "Range: bytes=100000-"]).status, 416);
    assert_eq!(get(&[a, "Range: bytes=0-1", "If-Range: \"other\""]).status, 200);
    assert_eq!(get(&[]).status, 401);
    assert_eq!(get(&["Authorization: Bearer cccccccccccccccc"]).status, 401);
    assert_eq!(
        get(&["Authorization: Bearer bbbbbbbbbbbbbbbb"]).status,
        404,
        "it is another namespace's"
    );
    assert_eq!(ask(served.service.page(), "/assets/sha256:0", &[a]).status, 400);
}

#[test]
fn a_signed_url_opens_one_asset_for_a_while() {
    let Some(served) = served() else { return };
    let sign = |expires: &str, namespace: &str| {
        let base = format!("http://{}", served.service.page());
        let url = [
            "assets",
            "url",
            &served.digest,
            "--base",
            &base,
            "--url-key-file",
            "key",
        ];
        let url = served
            .lab
            .run(&[&url[..], &["--expires", expires, "--namespace", namespace]].concat());
        assert_eq!(url.code, 0, "{}", url.stderr);
        url.stdout.trim().strip_prefix(&base).unwrap().to_owned()
    };
    let get = |path: &str| ask(served.service.page(), path, &[]);
    let path = sign("1h", "team-a");
    let answer = get(&path);
    assert_eq!((answer.status, answer.body.len()), (200, 100_000));
    let caching = answer.header("cache-control").unwrap();
    assert!(
        caching.starts_with("public, max-age=3") && caching.ends_with("immutable"),
        "{caching}"
    );
    assert_eq!(get(&sign("1h", "team-b")).status, 404);
    assert_eq!(get(&path.replace("team-a", "team-b")).status, 403);
    assert_eq!(get(&sign("1ms", "team-a")).body, "the URL has expired\n");
}
