//! The code in a README, as its reader would copy it.

use std::sync::LazyLock;

use regex::Regex;

static URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""(?:postgres|mysql|dynamodb)://[^"]*""#).expect("the pattern is tested")
});

/// The variable that a program's URL is read from.
pub(super) const URL_VARIABLE: &str = "STORE_URL";

/// The first block of code in a language, without the lines that documentation hides.
pub(super) fn block(readme: &str, language: &str) -> Option<String> {
    let opens = |line: &&str| {
        let tag = line.strip_prefix("```").unwrap_or_default();
        tag.split(',').next() == Some(language)
    };
    let mut lines = readme.lines().skip_while(|line| !opens(line));
    lines.next()?;
    let shown = lines
        .take_while(|line| *line != "```")
        .filter(|line| *line != "#" && !line.starts_with("# "));
    Some(shown.map(|line| format!("{line}\n")).collect())
}

/// A program of what a README shows. Its URL, if it has one, is taken from the environment.
pub(super) fn program(shown: &str) -> String {
    let variable = format!("&std::env::var(\"{URL_VARIABLE}\")?");
    let body = URL.replace(shown, variable);
    format!(
        "#![allow(unused_variables)]\n\n#[tokio::main]\nasync fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{body}Ok(())\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# a\n```toml\n[dependencies]\na = \"1\"\n```\n\n```rust,no_run\nuse a::A;\n\n# async fn example() -> a::Result<()> {\n#[cfg(x)]\nlet a = A::connect(\"postgres://u@h/d\").await?;\n# Ok(())\n# }\n```\n\n```rust\nlater\n```\n";

    #[test]
    fn blocks_are_found_by_language_and_hidden_lines_left_out() {
        assert_eq!(
            block(README, "toml").as_deref(),
            Some("[dependencies]\na = \"1\"\n")
        );
        assert_eq!(
            block(README, "rust").as_deref(),
            Some("use a::A;\n\n#[cfg(x)]\nlet a = A::connect(\"postgres://u@h/d\").await?;\n")
        );
        assert_eq!(block(README, "sql"), None);
    }

    #[test]
    fn the_url_comes_from_the_environment() {
        let program = program("let a = A::connect(\"mysql://u:p@h/d?x=y\").await?;\n");
        assert!(
            program.contains("A::connect(&std::env::var(\"STORE_URL\")?).await?;"),
            "{program}"
        );
    }
}
