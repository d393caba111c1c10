//! What the person has chosen: the view, what is selected, sorted by and filtered, by the keys that were pressed.

use std::cmp::Ordering;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::widgets::TableState;

use crate::model::Model;
use crate::table::{Cell, Row, View};

/// Of a page up or down.
const PAGE_ROWS: u16 = 10;

/// More than any name has that a filter could be meant for.
const FILTER_CHARACTERS_MAX: usize = 100;

/// All of it.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) view: View,
    /// In lower case.
    pub(crate) filter: String,
    pub(crate) is_filter_edited: bool,
    pub(crate) is_paused: bool,
    pub(crate) is_help_shown: bool,
    /// What is selected, and from where rows are shown.
    pub(crate) table: TableState,
    sort: [Option<Sort>; View::ALL.len()],
}

/// By which column, and in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) column: usize,
    pub(crate) is_reversed: bool,
}

/// Whether to go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Continue,
    Quit,
}

impl Screen {
    pub(crate) fn new(view: View) -> Self {
        Self {
            view,
            filter: String::new(),
            is_filter_edited: false,
            is_paused: false,
            is_help_shown: false,
            table: TableState::new().with_selected(0),
            sort: [None; View::ALL.len()],
        }
    }

    /// The rows of the view, filtered and sorted.
    pub(crate) fn rows(&self, model: &Model) -> Vec<Row> {
        let mut rows = self.view.rows(model);
        rows.retain(|row| row.has(&self.filter));
        if let Some(sort) = self.sort() {
            rows.sort_by(|one, other| compare(&one.cells[sort.column], &other.cells[sort.column], sort.is_reversed));
        }
        rows
    }

    /// As they come, where there is none.
    pub(crate) fn sort(&self) -> Option<Sort> {
        self.sort[self.view as usize]
    }

    pub(crate) fn press(&mut self, key: KeyEvent) -> Outcome {
        if key.kind == KeyEventKind::Release {
            return Outcome::Continue;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Outcome::Quit,
            _ if self.is_filter_edited => self.edit_filter(key.code),
            _ if self.is_help_shown => self.is_help_shown = false,
            KeyCode::Char('q') => return Outcome::Quit,
            code => self.command(code),
        }
        Outcome::Continue
    }

    fn edit_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_filter_edited = false,
            KeyCode::Esc => self.clear_filter(),
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(character) if self.filter.chars().count() < FILTER_CHARACTERS_MAX => {
                self.filter.extend(character.to_lowercase());
                self.table.select_first();
            }
            _ => {}
        }
    }

    fn clear_filter(&mut self) {
        self.filter.clear();
        self.is_filter_edited = false;
    }

    fn command(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('?' | 'h') => self.is_help_shown = true,
            KeyCode::Char('/') => self.is_filter_edited = true,
            KeyCode::Esc => self.clear_filter(),
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') => self.sort_by_next(),
            KeyCode::Char('r') => self.reverse(),
            KeyCode::Tab | KeyCode::Right => self.show(self.view as usize + 1),
            KeyCode::BackTab | KeyCode::Left => self.show(self.view as usize + View::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='9') => self.show_numbered(digit),
            KeyCode::Down | KeyCode::Char('j') => self.table.select_next(),
            KeyCode::Up | KeyCode::Char('k') => self.table.select_previous(),
            KeyCode::PageDown => self.table.scroll_down_by(PAGE_ROWS),
            KeyCode::PageUp => self.table.scroll_up_by(PAGE_ROWS),
            KeyCode::Home => self.table.select_first(),
            KeyCode::End => self.table.select_last(),
            _ => {}
        }
    }

    fn show(&mut self, number: usize) {
        self.view = View::ALL[number % View::ALL.len()];
        self.table.select_first();
    }

    fn show_numbered(&mut self, digit: char) {
        let number = digit as usize - '1' as usize;
        if number < View::ALL.len() {
            self.show(number);
        }
    }

    /// After the last column, as they come.
    fn sort_by_next(&mut self) {
        let column = self.sort().map_or(0, |sort| sort.column + 1);
        let is_column = column < self.view.columns().len();
        self.sort[self.view as usize] = is_column.then_some(Sort { column, is_reversed: false });
    }

    fn reverse(&mut self) {
        if let Some(sort) = &mut self.sort[self.view as usize] {
            sort.is_reversed = !sort.is_reversed;
        }
    }
}

/// The worst status first, texts by letters, the greatest number first: that is looked for. What is absent comes last either way.
fn compare(one: &Cell, other: &Cell, is_reversed: bool) -> Ordering {
    let order = match (one, other) {
        (Cell::Number(Some(one), _), Cell::Number(Some(other), _)) => other.total_cmp(one),
        (Cell::Number(one, _), Cell::Number(other, _)) => return other.is_some().cmp(&one.is_some()),
        (Cell::Status(one, _), Cell::Status(other, _)) if one != other => other.cmp(one),
        (one, other) => one.shown().cmp(&other.shown()),
    };
    if is_reversed { order.reverse() } else { order }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::model;

    fn pressed(screen: &mut Screen, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\x1b' => KeyCode::Esc,
                '<' => KeyCode::Backspace,
                character => KeyCode::Char(character),
            };
            assert_eq!(screen.press(code.into()), Outcome::Continue, "{key}");
        }
    }

    fn topics(screen: &Screen) -> Vec<String> {
        let page = "ros_topics 1\nros_topic_rate_hertz{topic_name=\"/arm\"} 5\nros_topic_rate_hertz{topic_name=\"/Leg\"} 50\n\
                    ros_topic_publishers{topic_name=\"/base\"} 1";
        screen.rows(&model(&[("a:1", &[page])])).iter().map(|row| row.cells[1].shown()).collect()
    }

    #[test]
    fn a_filter_goes_by_any_text_whatever_its_case() {
        let mut screen = Screen::new(View::Topics);
        pressed(&mut screen, "/qLEX<");
        assert_eq!(screen.filter, "qle");
        pressed(&mut screen, "\x1b/lE\n");
        assert_eq!(topics(&screen), ["/Leg"]);
        pressed(&mut screen, "\x1b");
        assert_eq!(topics(&screen).len(), 3);
        pressed(&mut screen, &format!("/{}", "ä".repeat(200)));
        assert_eq!(screen.filter.chars().count(), FILTER_CHARACTERS_MAX);
    }

    #[test]
    fn sorting_goes_through_the_columns_and_back_to_none() {
        let mut screen = Screen::new(View::Topics);
        assert_eq!(topics(&screen), ["/Leg", "/arm", "/base"]);
        pressed(&mut screen, "ssr");
        assert_eq!(topics(&screen), ["/base", "/arm", "/Leg"]);
        pressed(&mut screen, "s");
        assert_eq!(topics(&screen), ["/Leg", "/arm", "/base"], "the greatest rate first, none last");
        pressed(&mut screen, "r");
        assert_eq!(topics(&screen), ["/arm", "/Leg", "/base"], "none last");
        pressed(&mut screen, &"s".repeat(View::Topics.columns().len() - 2));
        assert_eq!(screen.sort(), None);
    }

    #[test]
    fn the_worst_status_comes_first() {
        let mut screen = Screen::new(View::Topics);
        pressed(&mut screen, "s");
        let page = ["ok", "late", "new", "qos_incompatible"]
            .map(|status| format!("ros_topic_status{{topic_name=\"/{status}\",status=\"{status}\"}} 1\n"));
        let rows = screen.rows(&model(&[("a:1", &[&page.concat()])]));
        let shown: Vec<String> = rows.iter().map(|row| row.cells[0].shown()).collect();
        assert_eq!(shown, ["x qos_incompatible", "? new", "! late", "+ ok"]);
    }

    #[test]
    fn each_view_has_its_own_order() {
        let mut screen = Screen::new(View::Topics);
        pressed(&mut screen, "ss\t");
        assert_eq!((screen.view, screen.sort()), (View::Joints, None));
        pressed(&mut screen, "519");
        assert_eq!(screen.view, View::Topics);
        assert_eq!(screen.sort(), Some(Sort { column: 1, is_reversed: false }));
        screen.press(KeyCode::BackTab.into());
        assert_eq!(screen.view, View::Endpoints);
    }

    #[test]
    fn q_ends_it_but_where_it_is_typed() {
        let mut screen = Screen::new(View::Topics);
        pressed(&mut screen, "/q\n?q");
        assert!(!screen.is_help_shown, "any key closes the help");
        assert_eq!(screen.press(KeyCode::Char('q').into()), Outcome::Quit);
        pressed(&mut screen, "/");
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(screen.press(interrupt), Outcome::Quit);
    }

    #[test]
    fn p_stops_and_goes_on() {
        let mut screen = Screen::new(View::Topics);
        pressed(&mut screen, "p");
        assert!(screen.is_paused);
        pressed(&mut screen, "p");
        assert!(!screen.is_paused);
    }
}
