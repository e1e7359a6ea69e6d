//! Rules about what files say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};
use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Source};

const LONGEST: usize = 500;
/// Files that may be longer, with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// A pattern that no line of certain files may match. Patterns are written so as not to match themselves.
struct Ban {
    applies: fn(&str) -> bool,
    pattern: &'static LazyLock<Regex>,
    rule: &'static str,
    remedy: &'static str,
}

macro_rules! pattern {
    ($text:literal) => {{
        static PATTERN: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("the pattern is tested"));
        &PATTERN
    }};
}

static BANS: &[Ban] = &[
    Ban {
        applies: |_| true,
        pattern: pattern!(r"/(work|farm)/|artifactor[y]|\.librar[y]|sub-?agen[t]"),
        rule: "text about the machine that this was written on",
        remedy: "say it in the project's own terms",
    },
    Ban {
        applies: |path| path.ends_with(".rs"),
        pattern: pattern!(r"\b(todo|unimplemented|dbg)[!]|#\[ignor[e]|FIXM[E]"),
        rule: "unfinished or ignored code",
        remedy: "finish it, or open an issue and remove it",
    },
    Ban {
        applies: is_contents_page,
        pattern: pattern!(
            r"^(pub(\([^)]*\))?\s+)?((unsafe|async|const|extern)\s+)*(fn|struct|enum|union|trait|impl|const|static|type|macro_rules)\b|^use\b|^(pub(\([^)]*\))?\s+)?mod\s+\w+\s*\{"
        ),
        rule: "lib.rs is a contents page: docs, attributes, `mod x;` and `pub use`",
        remedy: "move this to a module",
    },
];

fn is_contents_page(path: &str) -> bool {
    path.starts_with("crates/") && path.ends_with("/src/lib.rs")
}

/// Checks one file by itself.
pub(super) fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines = text.lines().count();
    let in_crate = path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs");
    if in_crate && lines > LONGEST && !LONG_FILES.iter().any(|(long, _)| *long == path) {
        let rule = format!("{lines} lines, more than {LONGEST}");
        findings.push(Finding::new(path, LONGEST + 1, rule, "split it by job"));
    }
    for ban in BANS.iter().filter(|ban| (ban.applies)(path)) {
        for (number, line) in (1..).zip(text.lines()) {
            if ban.pattern.is_match(line) {
                findings.push(Finding::new(path, number, ban.rule, ban.remedy));
            }
        }
    }
}

static LINK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)"#).expect("the pattern is tested")
});
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s{0,3}\[[^\]^]+\]:\s*<?([^\s>]+)").expect("the pattern is tested")
});

/// Links from one Markdown file to another file of the repository, or to a heading, must lead somewhere.
pub(super) fn check_links(files: &[Source], findings: &mut Vec<Finding>) {
    let pages: BTreeMap<&str, &str> = files
        .iter()
        .filter(|file| file.path.ends_with(".md"))
        .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
        .collect();
    // Directories can be linked to as well.
    let mut paths: BTreeSet<&str> = [""].into();
    for file in files {
        paths.extend(Path::new(&file.path).ancestors().filter_map(Path::to_str));
    }
    for (page, text) in &pages {
        for (number, line) in prose(text) {
            let links = LINK.captures_iter(line).chain(REFERENCE.captures(line));
            for target in links.filter_map(|found| Some(found.get(1)?.as_str())) {
                // Elsewhere on the web, or a path in Rust.
                if target.contains("://") || target.starts_with("mailto:") || target.contains("::")
                {
                    continue;
                }
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let linked = if path.is_empty() {
                    Some((*page).to_owned())
                } else {
                    resolve(page, path)
                };
                let Some(linked) = linked.filter(|linked| paths.contains(linked.as_str())) else {
                    findings.push(Finding::new(
                        page,
                        number,
                        format!("the link to {target} leads nowhere"),
                        "name a file of this repository",
                    ));
                    continue;
                };
                let known = |text: &&str| anchor.is_empty() || headings(text).contains(anchor);
                if !pages.get(linked.as_str()).is_none_or(known) {
                    findings.push(Finding::new(
                        page,
                        number,
                        format!("{linked} has no heading #{anchor}"),
                        "name one that it has",
                    ));
                }
            }
        }
    }
}

/// Lines outside code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

fn resolve(page: &str, link: &str) -> Option<String> {
    let from = Path::new(page).parent()?;
    let mut parts = Vec::new();
    for component in from.join(link).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?.to_owned()),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::CurDir => {}
            // Outside the repository.
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// The anchors that a page's headings get.
fn headings(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            let slug: String = line
                .trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect();
            let times = seen.entry(slug.clone()).or_default();
            *times += 1;
            if *times == 1 {
                slug
            } else {
                format!("{slug}-{}", *times - 1)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        let mut findings = Vec::new();
        check(path, text, &mut findings);
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn long_files_are_found() {
        let line = "//! x\n";
        assert!(found("crates/a/src/b.rs", &line.repeat(500)).is_empty());
        assert_eq!(found("crates/a/src/b.rs", &line.repeat(501)), [501]);
        assert!(found("crates/a/tests/b.rs", &line.repeat(501)).is_empty());
    }

    #[test]
    fn unfinished_code_is_found() {
        let text = [
            "fn a() { todo",
            "!() }\n#[ignor",
            "e]\n// FIXM",
            "E\nlet todo = 1;\n",
        ]
        .concat();
        assert_eq!(found("crates/a/tests/b.rs", &text), [1, 2, 3]);
        assert!(found("README.md", &text).is_empty());
    }

    #[test]
    fn machine_paths_are_found_everywhere() {
        let text = ["see /wor", "k/main\nfine: network/, homework/a\n"].concat();
        assert_eq!(found("README.md", &text), [1]);
    }

    #[test]
    fn lib_rs_is_a_contents_page() {
        let page = "//! Docs.\n#![doc = include_str!(\"../README.md\")]\nmod a;\npub mod b;\n#[cfg(feature = \"c\")]\npub mod c;\npub use a::{\n    A,\n    B,\n};\n";
        assert!(found("crates/a/src/lib.rs", page).is_empty());
        for code in [
            "use std::fmt;",
            "pub fn f() {}",
            "impl A {}",
            "pub(crate) const X: u8 = 1;",
            "mod tests {",
            "pub async fn g() {}",
            "macro_rules! m {",
        ] {
            assert_eq!(found("crates/a/src/lib.rs", code), [1], "{code}");
            assert!(found("crates/a/src/other.rs", code).is_empty(), "{code}");
        }
    }

    #[test]
    fn links_must_lead_somewhere() {
        let page = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: Some(text.to_owned()),
        };
        let files = [
            page(
                "README.md",
                "# The top\n[a](docs/A.md) [b](docs) [c](docs/A.md#two-words) [d](#the-top)\n```\n[x](nowhere)\n```\n[e](nowhere.md) [f](docs/A.md#none) [g](../outside) [h](https://example.org/x) [i](crate::X)\n[j]: docs/none.md\n",
            ),
            page(
                "docs/A.md",
                "## Two `words`\n[up](../README.md \"title\") [self](A.md)\n",
            ),
        ];
        let mut findings = Vec::new();
        check_links(&files, &mut findings);
        let found: Vec<_> = findings.iter().map(|f| (f.line, f.rule.as_str())).collect();
        assert_eq!(
            found,
            [
                (6, "the link to nowhere.md leads nowhere"),
                (6, "docs/A.md has no heading #none"),
                (6, "the link to ../outside leads nowhere"),
                (7, "the link to docs/none.md leads nowhere"),
            ]
        );
    }
}
