//! The report page: one self-contained HTML file with inline style, charts and images. It has no scripts and
//! fetches nothing. All text is escaped.

use crate::chart::Chart;
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::path::Path;

const STYLE: &str = include_str!("page.css");

/// Contents of the page, top to bottom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Headline and title of the page.
    pub title: String,
    /// Paragraphs below the headline.
    pub summary: Vec<String>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Charts, two per row.
    pub charts: Vec<Chart>,
    /// Pictures.
    pub pictures: Vec<Picture>,
}

/// A table. Columns of numbers are aligned right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Caption above the table.
    pub caption: String,
    /// Column headers.
    pub headers: Vec<String>,
    /// Rows, each as long as `headers`.
    pub rows: Vec<Vec<String>>,
}

/// A picture with its caption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Caption below the picture.
    pub caption: String,
    /// Bytes of a PNG file.
    pub png: Vec<u8>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// The page as HTML.
    ///
    /// # Errors
    /// The length of a table's row differs from that of its headers, or a picture is not a PNG.
    pub fn to_html(&self) -> Result<String> {
        let tables = self.tables.iter().map(Table::render).collect::<Result<Vec<_>>>()?;
        let pictures = self.pictures.iter().map(Picture::render).collect::<Result<Vec<_>>>()?;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        @for paragraph in &self.summary { p { (paragraph) } }
                        @for table in tables { (table) }
                        @if !self.charts.is_empty() {
                            div.charts { @for chart in &self.charts { (chart.render()) } }
                        }
                        @for picture in pictures { (picture) }
                    }
                }
            }
        };
        Ok(page.into_string())
    }

    /// Writes the page as HTML, atomically.
    ///
    /// # Errors
    /// Those of [`Report::to_html`]; or the file system fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(fewstep_files::write_atomically(path, self.to_html()?.as_bytes())?)
    }
}

impl Table {
    fn render(&self) -> Result<Markup> {
        let width = self.headers.len();
        if let Some((i, row)) = self.rows.iter().enumerate().find(|(_, row)| row.len() != width) {
            let expected = format!("{width} cells in each row of table {:?}", self.caption);
            return Err(Error::Input {
                operation: "Report",
                expected,
                got: format!("{} in row {i}", row.len()),
            });
        }
        let numeric = |cell: &str| cell.trim_end_matches(['%', 's', 'x']).parse::<f64>().is_ok();
        // A column is numeric if all its non-empty cells are numbers.
        let flush_right = |column: usize| {
            let mut cells =
                self.rows.iter().map(|row| row[column].as_str()).filter(|cell| !cell.is_empty()).peekable();
            cells.peek().is_some() && cells.all(numeric)
        };
        let classes: Vec<_> = (0..width).map(|column| flush_right(column).then_some("number")).collect();
        Ok(html! {
            div.scroll {
                table {
                    caption { (self.caption) }
                    thead {
                        tr {
                            @for (head, class) in self.headers.iter().zip(&classes) { th class=[class] { (head) } }
                        }
                    }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (cell, class) in row.iter().zip(&classes) { td class=[class] { (cell) } }
                            }
                        }
                    }
                }
            }
        })
    }
}

impl Picture {
    fn render(&self) -> Result<Markup> {
        let (width, height) = self.size().ok_or_else(|| Error::Input {
            operation: "Report",
            expected: format!("a PNG for picture {:?}", self.caption),
            got: format!("{} other bytes", self.png.len()),
        })?;
        let source = format!("data:image/png;base64,{}", STANDARD.encode(&self.png));
        Ok(html! {
            figure.picture {
                img src=(source) alt=(self.caption) width=(width) height=(height);
                figcaption { (self.caption) }
            }
        })
    }

    /// Width and height from the header chunk with which every PNG begins.
    fn size(&self) -> Option<(u32, u32)> {
        let header = self.png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
        let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
        Some((number(0)?, number(4)?))
    }
}

#[cfg(test)]
mod tests;
