use super::*;
use crate::{GridLayout, Images, Series};

const NASTY: &str = "<script>alert('x')</script> & \"quoted\"";

fn png() -> Vec<u8> {
    let images = Images::new(&[0, 50, 100, 150], [1, 1, 2, 2]).unwrap();
    GridLayout::single(3).draw(&images).unwrap().to_png().unwrap()
}

fn table(rows: &[[&str; 3]]) -> Table {
    let row = |cells: &[&str; 3]| cells.iter().map(|cell| (*cell).to_owned()).collect();
    Table {
        caption: "Results".to_owned(),
        headers: row(&["a", "b", "c"]),
        rows: rows.iter().map(row).collect(),
    }
}

#[test]
fn everything_is_in_the_page_in_order() {
    let mut report = Report::new("Headline");
    report.summary = vec!["First.".to_owned(), "Second.".to_owned()];
    report.tables = vec![table(&[["cell", "1", "2"]])];
    report.charts = vec![Chart::lines("Loss", "kimg", "y", vec![Series::new("s", &[1.0], &[2.0]).unwrap()])];
    report.pictures = vec![Picture { caption: "Samples".to_owned(), png: png() }];
    let page = report.to_html().unwrap();
    let parts = [
        "<h1>Headline",
        "First.",
        "Second.",
        "Results",
        "<td>cell",
        "Loss",
        "kimg",
        "data:image",
        "Samples</fig",
    ];
    let places: Vec<usize> =
        parts.iter().map(|part| page.find(part).unwrap_or_else(|| panic!("no {part}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn the_page_stands_alone_and_the_picture_is_whole() {
    let mut report = Report::new("t");
    report.pictures = vec![Picture { caption: String::new(), png: png() }];
    let page = report.to_html().unwrap();
    for outside in ["http:", "https:", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let (_, rest) = page.split_once("base64,").unwrap();
    let (data, rest) = rest.split_once('"').unwrap();
    assert_eq!(STANDARD.decode(data).unwrap(), png());
    assert!(rest.contains("width=\"6\" height=\"6\""), "{rest}");
}

#[test]
fn every_text_is_escaped() {
    let nasty = || NASTY.to_owned();
    let report = Report {
        title: nasty(),
        summary: vec![nasty()],
        tables: vec![Table { caption: nasty(), headers: vec![nasty()], rows: vec![vec![nasty()]] }],
        charts: vec![Chart::lines(NASTY, NASTY, NASTY, vec![Series::new(NASTY, &[], &[]).unwrap()])],
        pictures: vec![Picture { caption: nasty(), png: png() }],
    };
    let page = report.to_html().unwrap();
    assert!(!page.contains("<script"), "{page}");
    // title twice, summary, caption, header, cell, chart title twice, two labels, series, alternative text,
    // caption
    assert_eq!(page.matches("&lt;script&gt;alert('x')&lt;/script&gt; &amp; &quot;quoted&quot;").count(), 13);
}

#[test]
fn columns_of_numbers_are_flush_right() {
    let page =
        table(&[["x1", "1.5", "3"], ["2", "-2e-3", ""], ["3", "91%", "7"]]).render().unwrap().into_string();
    assert_eq!(page.matches("<td class=\"number\">").count(), 6);
    assert!(page.contains("<th>a</th><th class=\"number\">b</th>"), "{page}");
}

#[test]
fn ragged_tables_and_other_formats_are_refused() {
    let mut ragged = table(&[["1", "2", "3"]]);
    ragged.rows.push(vec!["1".to_owned()]);
    let message = Report { tables: vec![ragged], ..Report::default() }.to_html().unwrap_err().to_string();
    assert!(message.contains("\"Results\"") && message.contains("1 in row 1"), "{message}");
    let picture = Picture { caption: "photo".to_owned(), png: b"\xff\xd8 a JPEG, say".to_vec() };
    let message = Report { pictures: vec![picture], ..Report::default() }.to_html().unwrap_err().to_string();
    assert!(message.contains("\"photo\""), "{message}");
}

#[test]
fn is_written_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let report = Report::new("t");
    report.write(&path).unwrap();
    assert_eq!(fs_err::read_to_string(&path).unwrap(), report.to_html().unwrap());
    let message = report.write(&folder.path().join("absent/report.html")).unwrap_err().to_string();
    assert!(message.contains("absent"), "{message}");
}
