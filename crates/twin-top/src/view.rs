//! What the terminal shows of the model and of what was chosen: drawn anew each time, and from nothing else.
//!
//! Colours only underline: a status has a sign and a word, what is selected is reversed.

use metrics_client::Status;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row as TableRow, Table, Wrap};

use crate::model::{Model, State};
use crate::screen::Screen;
use crate::table::{Row, View};

/// Whether colours may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Palette {
    pub(crate) is_coloured: bool,
}

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Between columns.
const GAP: u16 = 2;

/// A name that is longer is cut: of the selected row it stands at the bottom.
const COLUMN_WIDTH_MAX: usize = 40;

const KEYS: &str = "q quit  Tab view  / filter  s sort  r reverse  p pause  ? help";

const HELP: [&str; 12] = [
    "Tab, Right      next view          Left, Shift-Tab  the one before",
    "1 to 5          a view by number",
    "Up, Down, j, k  select a row       PgUp, PgDn, Home, End",
    "/               filter by text     Enter keeps it, Esc clears it",
    "s               sort by the next column, at the end as they come",
    "r               reverse the order",
    "p, Space        stop, go on",
    "q, Ctrl-C       quit",
    "",
    "+ well   ! look at it   x does not work   ? not known   - not there",
    "",
    "Any key closes this.",
];

/// All of the screen.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model, screen: &mut Screen, palette: Palette) {
    let rows = screen.rows(model);
    let bars = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(2),
        Constraint::Length(1),
    ];
    let [summary, tabs, table, detail, keys] = Layout::vertical(bars).areas(frame.area());
    frame.render_widget(summary_of(model, screen), summary);
    frame.render_widget(tabs_of(screen), tabs);
    draw_table(frame, table, &rows, screen, palette);
    frame.render_widget(detail_of(&rows, screen), detail);
    frame.render_widget(Line::from(bottom_of(screen)), keys);
    if screen.is_help_shown {
        draw_help(frame);
    }
}

fn summary_of(model: &Model, screen: &Screen) -> Line<'static> {
    let up = model.measures().count();
    let down = model.endpoints.iter().find_map(|observed| match &observed.state {
        State::Down(why) => Some(format!("; {}: {why}", observed.name)),
        State::Awaited | State::Up(_) => None,
    });
    let pause = if screen.is_paused { "  [paused]" } else { "" };
    let text =
        format!("twin_top{pause}  {up} of {} endpoints answer{}", model.endpoints.len(), down.unwrap_or_default());
    Line::styled(text, BOLD)
}

fn tabs_of(screen: &Screen) -> Line<'static> {
    let tab = |(number, view): (usize, View)| {
        let is_shown = view == screen.view;
        let style = if is_shown { BOLD.add_modifier(Modifier::REVERSED) } else { Style::new() };
        [Span::styled(format!(" {number} {} ", view.title()), style), Span::raw(" ")]
    };
    (1..).zip(View::ALL).flat_map(tab).collect()
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, rows: &[Row], screen: &mut Screen, palette: Palette) {
    if rows.is_empty() {
        let filtered = "none that the filter lets through (Esc clears it)";
        let why = if screen.filter.is_empty() { screen.view.when_empty() } else { filtered };
        frame.render_widget(Line::from(why), area);
        return;
    }
    let widths = widths_that_fit(screen.view, rows, area.width);
    let shown = rows.iter().map(|row| {
        let cells = row.cells.iter().zip(&widths).map(|(cell, &width)| {
            let text = Line::from(cut(&cell.shown(), width));
            if cell.is_number() { text.right_aligned() } else { text }
        });
        TableRow::new(cells.collect::<Vec<_>>()).style(palette.of(row.status))
    });
    let header = header_of(screen, rows, widths.len());
    let table = Table::new(shown, widths.iter().map(|&width| Constraint::Length(width)))
        .header(TableRow::new(header).style(BOLD))
        .column_spacing(GAP)
        .row_highlight_style(Modifier::REVERSED);
    frame.render_stateful_widget(table, area, &mut screen.table);
}

/// The column that is sorted by has the direction.
fn header_of(screen: &Screen, rows: &[Row], columns: usize) -> Vec<Line<'static>> {
    let title = |(column, &title): (usize, &&'static str)| {
        let sign =
            screen.sort().filter(|sort| sort.column == column).map(|sort| if sort.is_reversed { "^" } else { "v" });
        let text = Line::from(format!("{title}{}", sign.unwrap_or_default()));
        if rows[0].cells[column].is_number() { text.right_aligned() } else { text }
    };
    screen.view.columns().iter().enumerate().take(columns).map(title).collect()
}

/// Of the columns that there is room for, the first ones; of the first there always is.
fn widths_that_fit(view: View, rows: &[Row], room: u16) -> Vec<u16> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.cells[column].shown().chars().count()).max().unwrap_or(0);
        // One more for the sign of the order.
        cells.min(COLUMN_WIDTH_MAX).max(view.columns()[column].len() + 1) as u16
    };
    let mut left = room;
    let mut widths = Vec::new();
    for column in 0..view.columns().len() {
        let needed = width(column) + if column == 0 { 0 } else { GAP };
        if needed > left && column > 0 {
            break;
        }
        left = left.saturating_sub(needed);
        widths.push(width(column));
    }
    widths
}

fn cut(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// All of the selected row, whatever there was room for.
fn detail_of(rows: &[Row], screen: &Screen) -> Paragraph<'static> {
    let row = screen.table.selected().and_then(|index| rows.get(index));
    let told =
        row.into_iter().flat_map(|row| screen.view.columns().iter().zip(&row.cells)).filter_map(|(title, cell)| {
            let text = cell.shown();
            (text != "-").then(|| format!("{} {text}", title.to_lowercase()))
        });
    Paragraph::new(told.collect::<Vec<_>>().join(" | ")).wrap(Wrap { trim: true })
}

fn bottom_of(screen: &Screen) -> String {
    match (screen.is_filter_edited, screen.filter.as_str()) {
        (true, filter) => format!("filter: {filter}_  (Enter keeps it, Esc clears it)"),
        (false, "") => KEYS.to_owned(),
        (false, filter) => format!("filter: {filter}  (Esc clears it)  {KEYS}"),
    }
}

fn draw_help(frame: &mut Frame<'_>) {
    let width = HELP.iter().map(|line| line.len()).max().unwrap_or(0) as u16 + 4;
    let area = frame.area().centered(Constraint::Length(width), Constraint::Length(HELP.len() as u16 + 2));
    frame.render_widget(Clear, area);
    let lines: Vec<Line<'_>> = HELP.iter().map(|&line| Line::from(format!(" {line}"))).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), area);
}

impl Palette {
    fn of(self, status: Status) -> Style {
        let colour = match status {
            Status::Ok => return Style::new(),
            Status::Warning => Color::Yellow,
            Status::Unknown => Color::Magenta,
            Status::Unhealthy => Color::Red,
        };
        if self.is_coloured { Style::new().fg(colour) } else { Style::new() }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::model::tests::model;

    const PAGE: &str = "ros_topics 2\n\
        ros_topic_status{topic_name=\"/joint_states\",status=\"ok\"} 1\nros_topic_rate_hertz{topic_name=\"/joint_states\"} 99.96\n\
        ros_topic_age_seconds{topic_name=\"/joint_states\"} 0.004\nros_messages_lost_total{topic_name=\"/joint_states\"} 3\n\
        ros_topic_status{topic_name=\"/scan\",status=\"stale\"} 1\nros_topic_age_seconds{topic_name=\"/scan\"} 75";

    fn example() -> Model {
        model(&[("robot:8002", &[PAGE]), ("robot:8003", &[""])])
    }

    fn drawn(model: &Model, screen: &mut Screen, width: u16, height: u16, is_coloured: bool) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model, screen, Palette { is_coloured })).unwrap();
        terminal.backend().clone()
    }

    fn lines(backend: &TestBackend) -> Vec<String> {
        let buffer = backend.buffer();
        let line =
            |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..buffer.area.height).map(line).collect()
    }

    fn has_colour(backend: &TestBackend) -> bool {
        backend.buffer().content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    }

    #[test]
    fn topics_of_an_ordinary_terminal() {
        let shown = lines(&drawn(&example(), &mut Screen::new(View::Topics), 80, 9, true));
        assert_eq!(
            shown,
            [
                "twin_top  1 of 2 endpoints answer; robot:8003: refused",
                " 1 Topics   2 Joints   3 Twins   4 Bridges   5 Endpoints",
                "STATUS   TOPIC           HZ     AGE   LOST   LOST/S  AT           PUBS   SUBS",
                "+ ok     /joint_states  100    4 ms      3        -  robot:8002      -      -",
                "! stale  /scan            -  75.0 s      -        -  robot:8002      -      -",
                "",
                "status + ok | topic /joint_states | hz 100 | age 4 ms | lost 3 | at robot:8002",
                "",
                "q quit  Tab view  / filter  s sort  r reverse  p pause  ? help",
            ]
        );
    }

    #[test]
    fn a_wide_terminal_has_all_columns_and_a_narrow_one_the_first() {
        let header = |width| lines(&drawn(&example(), &mut Screen::new(View::Topics), width, 9, true))[2].clone();
        assert!(header(160).contains("WHY"));
        assert_eq!(header(30), "STATUS   TOPIC           HZ");
        assert!(header(8).starts_with("STATUS"));
    }

    #[test]
    fn the_reason_of_the_selected_topic_is_at_the_bottom() {
        let mut screen = Screen::new(View::Topics);
        screen.press(KeyCode::Down.into());
        let shown = lines(&drawn(&example(), &mut screen, 80, 9, true));
        assert!(shown[6..8].join(" ").contains("why its messages have stopped: look at the publisher"), "{shown:?}");
    }

    #[test]
    fn without_colours_nothing_is_lost() {
        let model = example();
        let coloured = drawn(&model, &mut Screen::new(View::Topics), 80, 9, true);
        let plain = drawn(&model, &mut Screen::new(View::Topics), 80, 9, false);
        assert!(has_colour(&coloured) && !has_colour(&plain));
        assert_eq!(lines(&coloured), lines(&plain));
    }

    #[test]
    fn what_is_typed_is_shown_and_so_is_that_nothing_is_left() {
        let mut screen = Screen::new(View::Topics);
        for key in "/nothing".chars() {
            screen.press(KeyCode::Char(key).into());
        }
        let shown = lines(&drawn(&example(), &mut screen, 80, 9, true));
        assert_eq!(shown[2], "none that the filter lets through (Esc clears it)");
        assert_eq!(shown[8], "filter: nothing_  (Enter keeps it, Esc clears it)");
    }

    #[test]
    fn a_view_without_rows_tells_whose_they_are() {
        let shown = lines(&drawn(&example(), &mut Screen::new(View::Twins), 80, 9, true));
        assert_eq!(shown[2], "no twins: each synchronization_node has a row here");
    }

    #[test]
    fn the_order_and_a_pause_are_shown() {
        let mut screen = Screen::new(View::Topics);
        for key in "ssrp".chars() {
            screen.press(KeyCode::Char(key).into());
        }
        let shown = lines(&drawn(&example(), &mut screen, 80, 9, true));
        assert!(shown[0].starts_with("twin_top  [paused]"));
        assert!(shown[2].contains("TOPIC^"));
        assert!(shown[3].contains("/scan"));
    }

    #[test]
    fn help_lies_over_it() {
        let mut screen = Screen::new(View::Topics);
        screen.press(KeyCode::Char('?').into());
        let shown = lines(&drawn(&example(), &mut screen, 80, 24, true)).join("\n");
        assert!(shown.contains(" Keys ") && shown.contains("Any key closes this."));
    }

    #[test]
    fn no_terminal_is_too_small() {
        let mut screen = Screen::new(View::Topics);
        screen.press(KeyCode::Char('?').into());
        for (width, height) in [(1, 1), (3, 2), (20, 4), (500, 100)] {
            drawn(&example(), &mut screen, width, height, true);
        }
    }

    #[test]
    fn what_is_selected_stays_within_what_there_is() {
        let mut screen = Screen::new(View::Topics);
        screen.press(KeyCode::End.into());
        drawn(&example(), &mut screen, 80, 9, true);
        assert_eq!(screen.table.selected(), Some(1));
    }
}
