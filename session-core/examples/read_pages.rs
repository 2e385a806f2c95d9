//! Reads pages as the Worker does: one JSON object a line, `{"contentType": …, "page": [bytes]}`, is answered with one
//! that says what was found. For `tests/oracle.test.mjs`, which shows the same pages to a browser.

use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde_json::json;
use session_core::page::{Limits, PageReader};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    content_type: Option<String>,
    page: Vec<u8>,
}

fn main() -> io::Result<()> {
    let mut answers = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let asked: Asked = serde_json::from_str(&line?)?;
        let mut reader = PageReader::new(asked.content_type.as_deref(), Limits::default());
        reader.write(&asked.page);
        let found = reader.finish(true);
        let told = json!({
            "refreshToken": found.refresh_token,
            "fingerprint": found.fingerprint,
            "maySetToken": found.may_set_token,
        });
        writeln!(answers, "{told}")?;
    }
    Ok(())
}
