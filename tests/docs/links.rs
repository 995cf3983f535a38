//! Links: those within the repository lead somewhere, those to elsewhere could. Nobody is asked whether they do.

use std::collections::BTreeSet;
use std::path::Path;

use url::Url;

use super::pages::{self, Page, repository};

#[test]
fn every_link_leads_somewhere() {
    let pages = pages::all();
    let links: usize = pages.iter().map(|page| targets(page).len()).sum();
    assert!(links > 150, "{links}");
    let wrong: Vec<String> = pages.iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_told() {
    let here = "# A page\n\n## Twice\n\n## Twice\n\n## `code`, and more: it's said\n\n```sh\n# No heading\n```\n\n";
    let told = |link: &str| {
        let (path, text) = ("docs/made-up.md".to_owned(), format!("{here}{link}\n"));
        !wrong(&Page { path, text }).is_empty()
    };
    for good in [
        "[text](install.md)",
        "[text](install.md#with-helm)",
        "[text](../charts)",
        "[text](#twice-1)",
        "[text](#code-and-more-its-said)",
        "[text](https://example.com/a#b)",
        "<https://example.com>",
        "`[no](link.md)`",
        "```text\n[no](link.md)\n```",
    ] {
        assert!(!told(good), "{good}");
    }
    for bad in [
        "[text](nowhere.md)",
        "[text](install.md#nowhere)",
        "[text](../charts#nowhere)",
        "[text](../../elsewhere.md)",
        "[text](#twice-2)",
        "[text](#no-heading)",
        "[`code`](nowhere.md)",
        "![text](nowhere.svg)",
        "[text]: nowhere.md",
        "[text](http://example.com)",
        "[text](https://example)",
        "[text](https://user@example.com)",
        "[text](ftp://example.com)",
        "[text]()",
        "see http://example.com",
    ] {
        assert!(told(bad), "{bad}");
    }
}

/// The links of a page that lead nowhere.
fn wrong(page: &Page) -> Vec<String> {
    let targets = targets(page).into_iter();
    let wrong = targets.filter_map(|target| {
        let why = if target.contains("://") {
            outside(&target)
        } else {
            inside(page, &target)
        };
        Some(format!("{}: {target}: {}", page.path, why?))
    });
    wrong.collect()
}

/// Where the links of a page lead, in its order.
fn targets(page: &Page) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in page.prose().join("\n").split("\n\n") {
        // Code says what it says, and links nowhere.
        let text: String = paragraph.split('`').step_by(2).collect();
        let inline = text.split("](").skip(1);
        let inline = inline.map(|rest| rest.split([')', ' ']).next().unwrap_or_default());
        found.extend(inline.map(str::to_owned));
        let definitions = text.lines().filter(|line| line.starts_with('['));
        let definitions = definitions.filter_map(|line| line.split_once("]: "));
        found.extend(definitions.map(|(_, target)| target.trim().to_owned()));
        for (at, _) in text.match_indices("://") {
            let scheme = text[..at].rfind(|c: char| !c.is_ascii_alphabetic());
            let start = scheme.map_or(0, |before| before + 1);
            let url = text[start..].split([')', '>', '"', ' ', '\n']).next();
            let url = url
                .unwrap_or_default()
                .trim_end_matches(['.', ',', ':', ';']);
            found.push(url.to_owned());
        }
    }
    found
}

/// What is wrong with a link to a file or a heading.
fn inside(page: &Page, target: &str) -> Option<&'static str> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(&page.path).parent().unwrap();
    let linked = repository().join(folder).join(file);
    if target.is_empty() {
        return Some("it names nothing");
    }
    let found = linked.canonicalize();
    if !file.is_empty() && !found.is_ok_and(|found| found.starts_with(root())) {
        return Some("no such file");
    }
    if anchor.is_empty() {
        return None;
    }
    let headings = if file.is_empty() {
        anchors(page)
    } else {
        let linked = folder.join(file);
        if linked.extension().is_none_or(|extension| extension != "md") {
            return Some("it has no headings");
        }
        anchors(&Page::read(linked.to_str().unwrap()))
    };
    (!headings.contains(anchor)).then_some("no such heading")
}

/// What is wrong with a link to elsewhere.
fn outside(target: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(target) else {
        return Some("no URL");
    };
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "https" {
        return Some("not https");
    }
    let odd = !host.contains('.') || !url.username().is_empty() || url.port().is_some();
    odd.then_some("no host of the internet")
}

/// The anchors of a page's headings. Of two that are alike the second is counted.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in page.headings() {
        let slug = slug(heading);
        let mut more = (1..).map(|n| format!("{slug}-{n}"));
        let mut anchor = slug.clone();
        while !anchors.insert(anchor) {
            anchor = more.next().unwrap();
        }
    }
    anchors
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let text = heading.to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

fn root() -> std::path::PathBuf {
    repository().canonicalize().unwrap()
}
