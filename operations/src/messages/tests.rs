use super::*;

/// What each alert's receivers would read, and what must not harm them.
const EVIL: &str = "<!channel> @everyone `rm` ```x``` *b* <@1> & [a](https://evil.example) \u{1F600}\n# big";

const NOW: i64 = 1_790_000_000_000;

fn details() -> [(&'static str, Value); 8] {
    [
        (
            "failure_rate",
            json!({ "attempts": 1_204, "failures": 603, "minutes": 15 }),
        ),
        (
            "oldest_due",
            json!({ "ageSeconds": 1_620, "due": 12_412, "limitSeconds": 1_560 }),
        ),
        ("breaker_open", json!({ "breaker": "open" })),
        (
            "sessions_lost",
            json!({ "expired": 2, "exhausted": 1, "sessionIds": ["a-1", "b-2"] }),
        ),
        ("misconfigured", json!({ "reason": "JWKS_URL must be https." })),
        ("database_refused", json!({ "code": "42501" })),
        (
            "markup_changed",
            json!({ "sessions": 3, "outline": "text/html, 9 bytes\np > text 2" }),
        ),
        (
            "interval_too_long",
            json!({ "intervalSeconds": 1_500, "recommendedSeconds": 1_080, "lifeSeconds": 1_650 }),
        ),
    ]
}

fn alert(kind: &str, status: &str, details: &Value) -> Message {
    serde_json::from_value(json!({
        "id": "8a7d1c52-9d0e-4d5e-9a3f-0f6f3c1b2a10", "kind": "alert", "alert": kind, "status": status,
        "since": NOW - 7_500_000, "at": NOW, "details": details,
    }))
    .unwrap()
}

fn event() -> Message {
    serde_json::from_value(json!({
        "id": "e1", "kind": "event", "event": "expired", "sessionId": "s1", "at": NOW,
    }))
    .unwrap()
}

fn sent(message: &Message, format: Format) -> Value {
    serde_json::from_str(&body(message, format)).unwrap()
}

fn text(kind: &str, status: &str, details: &Value) -> String {
    let sent = sent(&alert(kind, status, details), Format::Generic);
    sent["text"].as_str().unwrap().to_owned()
}

/// Every text that a receiver shows, with how long it may be.
fn shown(sent: &Value) -> Vec<(&str, usize)> {
    let blocks = sent["blocks"].as_array().into_iter().flatten();
    let embeds = sent["embeds"].as_array().into_iter().flatten();
    let mut shown: Vec<(&Value, usize)> = Vec::new();
    shown.extend(sent.get("text").map(|text| (text, 4_000)));
    shown.extend(sent.get("title").map(|text| (text, 4_000)));
    shown.extend(blocks.map(|block| (&block["text"]["text"], 3_000)));
    shown.extend(embeds.flat_map(|embed| [(&embed["title"], 256), (&embed["description"], 4_096)]));
    shown
        .into_iter()
        .map(|(text, most)| (text.as_str().unwrap(), most))
        .collect()
}

fn every_alert_with(details_of: impl Fn(&Value) -> Value, check: impl Fn(&str, Format, &Value)) {
    for (kind, details) in details() {
        for status in ["firing", "repeated", "over"] {
            for format in [Format::Generic, Format::Slack, Format::Discord] {
                let message = alert(kind, status, &details_of(&details));
                check(
                    &format!("{kind} {status} {format:?}"),
                    format,
                    &sent(&message, format),
                );
            }
        }
    }
}

#[test]
fn the_matter_is_told_in_words() {
    for ((kind, details), expected) in details().into_iter().zip([
        "Within 15 minutes, 603 of 1,204 attempts failed.",
        "The session that waits longest is 27 minutes old; the limit is 26 minutes. 12,412 sessions are due.",
        "Calls fail, so none is made for now.",
        "2 sessions expired, and 1 session was given up after too many failures. Among them: a-1, b-2.",
        "Nothing is refreshed, for a setting can't be used: JWKS_URL must be https.",
        "The database turns our calls away with the code 42501.",
        "For 3 sessions the answer held nothing that is known, so they were not refreshed.",
        "Without a refresh, sessions were found to live for 27 minutes; they are refreshed every 25 minutes.",
    ]) {
        let firing = text(kind, "firing", &details);
        let todo = firing
            .strip_prefix(expected)
            .unwrap_or_else(|| panic!("{firing}"));
        assert!(todo.len() > 20 && todo.ends_with('.'), "what to do: {todo}");
        assert_eq!(
            text(kind, "repeated", &details),
            format!("For 2 hours 5 minutes now. {firing}")
        );
        let over = text(kind, "over", &details);
        assert!(over.ends_with(". It lasted 2 hours 5 minutes."), "{over}");
        assert!(!over.contains(expected), "{over}");
    }
}

#[test]
fn one_is_told_as_one() {
    for (kind, details, expected) in [
        (
            "sessions_lost",
            json!({ "expired": 1, "exhausted": 0, "sessionIds": ["a"] }),
            "1 session expired. By id: a.",
        ),
        (
            "sessions_lost",
            json!({ "expired": 0, "exhausted": 2 }),
            "2 sessions were given up after too many failures.",
        ),
        (
            "failure_rate",
            json!({ "attempts": 1, "failures": 1, "minutes": 1 }),
            "Within 1 minute, 1 of 1 attempt failed.",
        ),
        (
            "oldest_due",
            json!({ "ageSeconds": 90_000, "due": 1, "limitSeconds": 60 }),
            "The session that waits longest is 1 day 1 hour old; the limit is 1 minute. It is the only one that is due.",
        ),
        (
            "breaker_open",
            json!({ "breaker": "half_open" }),
            "Calls failed. One is tried now, to see whether the site is back.",
        ),
    ] {
        let told = text(kind, "firing", &details);
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn the_interval_to_set_is_named() {
    let (kind, details) = &details()[7];
    assert!(text(kind, "firing", details).ends_with("Set REFRESH_INTERVAL_MINUTES to 18."));
    assert!(text(kind, "firing", &json!({})).ends_with("Set a smaller REFRESH_INTERVAL_MINUTES."));
}

#[test]
fn every_alert_has_its_texts_within_limits() {
    for details_of in [
        |details: &Value| details.clone(),
        |_: &Value| json!({}),
        |_: &Value| Value::Null,
        |_: &Value| {
            let long = "<`_&😀".repeat(3_000);
            json!({ "reason": long, "code": long, "outline": long, "sessions": 1, "expired": u64::MAX,
                    "sessionIds": vec![long; 20] })
        },
    ] {
        every_alert_with(details_of, |which, format, sent| {
            let shown = shown(sent);
            assert!(shown.len() >= 2, "{which}");
            for (text, most) in shown {
                assert!(!text.trim().is_empty(), "{which}");
                let size = text.encode_utf16().count();
                assert!(size <= most, "{which}: {size}");
            }
            if format == Format::Discord {
                assert_eq!(sent["allowed_mentions"], json!({ "parse": [] }), "{which}");
            }
        });
    }
}

#[test]
fn nothing_in_the_details_acts_on_who_reads_it() {
    let evil = |_: &Value| {
        json!({ "reason": EVIL, "code": EVIL, "outline": EVIL, "breaker": EVIL, "sessions": 2, "expired": 1,
                "sessionIds": [EVIL] })
    };
    every_alert_with(evil, |which, format, sent| {
        for (text, _) in shown(sent) {
            let fences = text.matches("```").count();
            match format {
                Format::Generic => {}
                Format::Slack => {
                    assert!(!text.contains(['<', '>']), "{which}: {text}");
                    assert_eq!(text.matches('`').count(), fences * 3, "{which}: {text}");
                    assert!(fences == 0 || fences == 2, "{which}: {text}");
                }
                Format::Discord => {
                    assert!(
                        !text.contains("@everyone") && !text.contains("@1"),
                        "{which}: {text}"
                    );
                    let prose = text.split("```").next().unwrap();
                    for sign in ['<', '`', '*', '[', '#'] {
                        let bare = prose.replace(&format!("\\{sign}"), "");
                        assert!(!bare.contains(sign), "{which}: {text}");
                    }
                    assert!(fences == 0 || fences == 2, "{which}: {text}");
                }
            }
        }
    });
}

#[test]
fn no_escape_is_cut_in_two() {
    for length in 2_900..3_000 {
        let outline = format!("{}{}", "x".repeat(length), "<&".repeat(50));
        let sent = sent(
            &alert("markup_changed", "firing", &json!({ "outline": outline })),
            Format::Slack,
        );
        let text = sent["blocks"][1]["text"]["text"].as_str().unwrap();
        let whole = text.replace("&lt;", "").replace("&amp;", "");
        assert!(!whole.contains('&') && text.ends_with("…\n```"), "{text}");
    }
}

#[test]
fn the_outline_is_shown_as_it_is_built() {
    let (kind, details) = &details()[6];
    let slack = sent(&alert(kind, "firing", details), Format::Slack);
    assert_eq!(
        slack["blocks"][1]["text"]["text"],
        "```\ntext/html, 9 bytes\np &gt; text 2\n```"
    );
    let discord = sent(&alert(kind, "firing", details), Format::Discord);
    let description = discord["embeds"][0]["description"].as_str().unwrap();
    assert!(
        description.ends_with("\n```\ntext/html, 9 bytes\np > text 2\n```"),
        "{description}"
    );
    let over = sent(&alert(kind, "over", details), Format::Slack);
    assert_eq!(
        over["blocks"].as_array().map(Vec::len),
        Some(1),
        "it is of no use any more"
    );
}

#[test]
fn what_chats_are_sent() {
    let (kind, details) = &details()[5];
    assert_eq!(
        sent(&alert(kind, "over", details), Format::Slack),
        json!({
            "text": "Over: The database refuses the Worker",
            "blocks": [{ "type": "section", "text": {
                "type": "mrkdwn", "verbatim": true,
                "text": "*Over: The database refuses the Worker*\nThe database takes our calls again. \
                         It lasted 2 hours 5 minutes.",
            } }],
        })
    );
    let still = sent(&alert(kind, "repeated", details), Format::Discord);
    assert_eq!(
        still["embeds"][0]["title"],
        "Still: The database refuses the Worker"
    );
}

#[test]
fn what_programs_are_sent() {
    let details = json!({ "code": "42501" });
    let sent_alert = sent(&alert("database_refused", "over", &details), Format::Generic);
    assert_eq!(
        sent_alert,
        json!({
            "id": "8a7d1c52-9d0e-4d5e-9a3f-0f6f3c1b2a10", "kind": "alert", "alert": "database_refused",
            "status": "over", "title": "Over: The database refuses the Worker",
            "text": "The database takes our calls again. It lasted 2 hours 5 minutes.",
            "since": "2026-09-21T12:08:20.000Z", "at": "2026-09-21T14:13:20.000Z", "details": details,
        })
    );
}

#[test]
fn events_are_for_programs_whatever_the_format() {
    for format in [Format::Generic, Format::Slack, Format::Discord] {
        assert_eq!(
            sent(&event(), format),
            json!({
                "id": "e1", "kind": "event", "event": "expired", "sessionId": "s1", "at": "2026-09-21T14:13:20.000Z",
            })
        );
    }
    assert_eq!(event().id(), "e1");
}

#[test]
fn a_receivers_host_tells_its_format() {
    for (host, format) in [
        ("hooks.slack.com", Format::Slack),
        ("Hooks.Slack.com.", Format::Slack),
        ("discord.com", Format::Discord),
        ("canary.discord.com", Format::Discord),
        ("discordapp.com", Format::Discord),
        ("notdiscord.com", Format::Generic),
        ("hooks.slack.com.evil.example", Format::Generic),
        ("slack.com", Format::Generic),
        ("", Format::Generic),
    ] {
        assert_eq!(Format::of_host(host), format, "{host}");
    }
    assert_eq!("slack".parse(), Ok(Format::Slack));
    assert_eq!(
        "Slack".parse::<Format>().unwrap_err().to_string(),
        "must be generic, slack or discord"
    );
}
