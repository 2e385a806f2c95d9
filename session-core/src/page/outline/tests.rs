use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    words::{ATTRIBUTES, ELEMENTS, FIELDS, KEYS, SCRIPT_WORDS},
    *,
};

const HTML: Option<&str> = Some("text/html; charset=utf-8");
const JSON: Option<&str> = Some("application/json");

/// The outline without its first line.
fn lines(body: &str, content_type: Option<&str>) -> String {
    let outline = outline(body.as_bytes(), content_type);
    outline.split_once('\n').unwrap_or_default().1.to_owned()
}

#[test]
fn a_page_is_told_by_its_elements() {
    let page = "<!doctype html><html lang=es><head><meta charset=utf-8><title>Hola Ana</title></head>
        <body class=x data-user=ana><!-- 69232 --><form action=/in method=post><input type=text name=mail value=ana@b.es>
        <input type=password name=pw><input name=zz><br></form>
        <script src=/a.js nonce=abc></script>
        <script>sessionStorage.setItem('refreshToken', 'a|b'); allocation = 1;</script></body></html>";
    assert_eq!(
        lines(page, HTML),
        "html[lang]\n head\n  meta[charset]\n  title > text 8\n body[class *]\n  comment 7\n  form[action method]\n   \
         input[type name=mail value]\n   input[type name=pw]\n   input[name]\n   br\n  script[src nonce]\n  \
         script > code 62 (sessionStorage setItem refreshToken)"
    );
}

#[test]
fn what_is_alike_is_told_once() {
    let items = |count: usize| "<li class=a><x-y>Ana</x-y>".repeat(count);
    assert_eq!(
        lines(&format!("<ul>{}</ul>", items(12)), HTML),
        "ul > li[class] ×12 > other > text 3"
    );
    assert_eq!(
        lines("<p>a</p><p>abcdef</p><p>ab</p>", HTML),
        "p ×3 > text 6",
        "the longest's length"
    );
}

#[test]
fn an_element_ends_with_the_one_around_it() {
    assert_eq!(
        lines("<div><b>1<i>2</div><hr>3", HTML),
        "div > b\n text 1\n i > text 1\nhr\ntext 1"
    );
}

#[test]
fn json_is_told_by_known_keys_and_kinds() {
    assert_eq!(
        lines(
            r#"{"newToken":"a|b","logout":0,"ana@b.es":{"error":null},"data":["x","yz",true]}"#,
            JSON
        ),
        "object\n *: object > error: null\n data: array\n  string 2 ×2\n  boolean\n logout: number\n newToken: string 3"
    );
    assert_eq!(lines("\u{feff} [1", JSON), "broken off");
    assert_eq!(lines("{oops}", JSON), "not JSON");
}

#[test]
fn the_first_line_tells_type_and_size() {
    for (body, content_type, expected) in [
        ("ok then", Some("Text/Plain"), "text/plain, 7 bytes\ntext 7"),
        ("", None, "no type, 0 bytes"),
        ("", Some("ana/secret"), "another type, 0 bytes"),
        (
            "[]",
            Some("application/json; a=b"),
            "application/json, 2 bytes\narray",
        ),
    ] {
        assert_eq!(outline(body.as_bytes(), content_type), expected);
    }
    let large = "x".repeat(OUTLINED_BYTES + 5);
    assert_eq!(
        outline(large.as_bytes(), None),
        "no type, the first 65536 bytes\ntext 65536"
    );
}

#[test]
fn what_comes_by_turns_is_told_once_each() {
    let head = "<meta name=a content=b>\n<link rel=x href=y>\n".repeat(60);
    assert_eq!(
        lines(&format!("<head>{head}</head>"), HTML),
        "head\n meta[name content] ×60\n link[rel href] ×60"
    );
}

#[test]
fn of_a_page_too_varied_to_be_told_the_scripts_words_are() {
    let varied = ATTRIBUTES
        .iter()
        .flat_map(|one| ATTRIBUTES.iter().map(move |other| format!("<p {one} {other}>")));
    let page = varied.collect::<String>() + "<script>localStorage.setItem(key, value)</script>";
    let outline = outline(page.as_bytes(), None);
    let first = " bytes\nscripts hold: localStorage setItem\np[action";
    assert!(outline.contains(first), "{outline}");
    assert!(outline.ends_with('…') && outline.len() <= OUTLINE_BYTES);
}

#[test]
fn of_a_large_page_the_top_is_told_rather_than_the_first_corner() {
    let corner = "<div><div><i>a</i><b>b</b></div><ul><li id=x>c<li>d</ul></div><p>e</p>".repeat(4);
    let deep = format!(
        "<main>{}</main>",
        "<div><p>".repeat(6) + &corner + "<a><u>".repeat(80).as_str()
    );
    let page = format!("<html><body>{}<footer>z</footer></body></html>", deep.repeat(8));
    let outline = outline(page.as_bytes(), HTML);
    assert!(outline.len() <= OUTLINE_BYTES);
    assert!(outline.contains('…'), "{outline}");
    assert!(outline.ends_with("footer > text 1"), "{outline}");
}

/// Bodies with something secret in every place that a page or a text has for it.
fn with_secret(place: usize, secret: &str) -> String {
    match place {
        0 => format!("<p>{secret}</p>"),
        1 => format!("<input name='{secret}' value={secret} class=\"{secret}\">"),
        2 => format!("<input {secret}=1 data-{secret} name=mail>"),
        3 => format!("<script>localStorage.setItem('{secret}', \"{secret}\"); {secret}()</script>"),
        4 => format!("<{secret}><b>x</b></{secret}>"),
        5 => format!("<x-{secret} {secret} />"),
        6 => format!("<!-- {secret} --><!doctype {secret}>"),
        7 => format!("<style>.{secret} {{}}</style><title>{secret}</title><textarea>{secret}"),
        8 => format!("<svg {secret}><{secret} href={secret}/></svg>&{secret};"),
        9 => format!("<a href='/x?{secret}' {secret}"),
        _ => format!("<script type={secret} src={secret}>{secret}"),
    }
}

/// Words, tokens, addresses: long enough not to be an outline's own.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "z[a-z]{7,20}",
        "[0-9]{9}\\|[0-9]{10}\\|[0-9a-f]{32}",
        "[a-z]{4,9}\\.zq@[a-z]{4,9}\\.es",
        "Ñ[a-zñ]{5,9}",
    ]
}

/// Words of our own, beside those of the lists.
const OWN: &str = "no type another bytes the first text code comment other unreadable from here object array string number \
                   boolean null broken off not JSON scripts hold nothing known";

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

fn holds_fixed_words_alone(outline: &str) {
    let lists: [&[&str]; 6] = [&TYPES, &ELEMENTS, &ATTRIBUTES, &FIELDS, &SCRIPT_WORDS, &KEYS];
    let fixed: Vec<&str> = lists
        .into_iter()
        .flatten()
        .flat_map(|word| words_of(word))
        .chain(OWN.split(' '))
        .collect();
    for word in words_of(outline) {
        let is_count = word.chars().all(|char| char.is_ascii_digit());
        assert!(is_count || fixed.contains(&word), "{word} in {outline}");
    }
    assert!(outline.len() <= OUTLINE_BYTES);
}

fn holds_none_of(outline: &str, secret: &str) {
    holds_fixed_words_alone(outline);
    for part in secret.split(['|', '@', '.']).filter(|part| part.len() > 5) {
        assert!(
            !outline.to_lowercase().contains(&part.to_lowercase()),
            "{part} in {outline}"
        );
    }
}

proptest! {
    #[test]
    fn no_secret_of_a_page_comes_out(
        secret in secret(),
        places in vec(0_usize..11, 1..8),
        typed in select(vec![None, HTML, JSON]),
        cut in 0_usize..400,
    ) {
        let page: String = places.iter().map(|place| with_secret(*place, &secret)).collect();
        let bytes = page.as_bytes();
        for part in [bytes, bytes.split_at(cut.min(bytes.len())).0] {
            holds_none_of(&outline(part, typed), &secret);
        }
        holds_none_of(&outline(bytes, Some(&secret)), &secret);
    }

    #[test]
    fn no_secret_of_a_json_text_comes_out(secret in secret(), cut in 0_usize..300) {
        let text = serde_json::json!({
            "newToken": &secret, secret.clone(): [&secret, {"error": &secret, "x": {secret.clone(): 1}}],
        })
        .to_string();
        for part in [text.as_bytes(), text.as_bytes().split_at(cut.min(text.len())).0] {
            holds_none_of(&outline(part, JSON), &secret);
        }
    }

    #[test]
    fn any_bytes_have_a_short_outline(bytes in vec(any::<u8>(), 0..3000), repeated in 1_usize..40) {
        holds_fixed_words_alone(&outline(&bytes.repeat(repeated), None));
    }

    #[test]
    fn any_markup_has_a_short_outline(
        pieces in vec(
            select(vec![
                "<div>", "<b", " id=a", ">", "</b>", "</div>", "<li>", "<script>", "</script>", "<svg>", "</svg>",
                "<!--", "-->", "<table><tr><td>", "<template>", "{\"a\":", "[", "]", "}", "<input name=pw>", "x", "<p>",
            ]),
            0..3000,
        ),
    ) {
        holds_fixed_words_alone(&outline(pieces.concat().as_bytes(), None));
    }
}
