//! Horizontal bars, one a model, each with its name before it and its number behind it.

use plotters::{
    chart::ChartBuilder,
    element::{PathElement, Rectangle, Text},
    style::{
        Color, FontStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    axis::Axis,
    chart::{Context, Drawn, letters, px, stroke, svg},
    theme::Colour,
};

/// Pixels of a chart's width, of a bar with its gap, of what stands above the bars and of what stands below.
const WIDTH: i32 = 480;
const ROW: i32 = 27;
const ABOVE: i32 = 52;
const BELOW: i32 = 30;

/// Pixels that a label below the bars needs.
const TICK: i32 = 62;

/// Pixels of a letter, on average and with some room.
const LETTER: f64 = 8.4;

/// A chart of one number a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bars {
    pub(super) title: String,
    /// Which way is better.
    pub(super) note: String,
    /// Downwards.
    pub(super) rows: Vec<Bar>,
}

/// One model's number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) name: String,
    /// `None` where the number is undefined; `text` then says so.
    pub(super) value: Option<f64>,
    /// Shown as a line to both sides of the bar's end.
    pub(super) deviation: Option<f64>,
    pub(super) text: String,
    pub(super) is_best: bool,
}

impl Bars {
    /// The chart as an SVG for a page.
    pub(super) fn svg(&self) -> String {
        let [before, behind] =
            [width(self.rows.iter().map(|bar| &bar.name)), width(self.rows.iter().map(|bar| &bar.text))];
        let axis = self.axis((WIDTH - before - behind) / TICK);
        let height = ABOVE + BELOW + ROW * i32::try_from(self.rows.len()).expect("models are few");
        svg(&self.title, [WIDTH, height], |root| {
            let title = letters(Colour::Ink);
            let title = TextStyle { font: title.font.style(FontStyle::Bold), ..title };
            root.draw(&Text::new(self.title.as_str(), (px(8), px(8)), title))?;
            root.draw(&Text::new(self.remark(&axis), (px(8), px(29)), letters(Colour::Muted)))?;
            let mut builder = ChartBuilder::on(root);
            builder.margin_top(px(ABOVE)).margin_right(px(behind));
            builder.y_label_area_size(px(before)).x_label_area_size(px(BELOW));
            let mut context = builder.build_cartesian_2d(axis.clone(), self.names())?;
            draw_axes(&mut context)?;
            let numbers = letters(Colour::Ink).pos(Pos::new(HPos::Right, VPos::Center));
            for (bar, row) in self.rows.iter().zip(0..) {
                bar.draw(&mut context, f64::from(row) + 0.5, axis.low)?;
                let (_, height) = context.backend_coord(&(axis.low, f64::from(row) + 0.5));
                root.draw(&Text::new(bar.text.as_str(), (px(WIDTH - 8), height), numbers.clone()))?;
            }
            Ok(())
        })
    }

    /// The axis of the numbers; their deviations lie within it.
    fn axis(&self, parts: i32) -> Axis {
        let ends = self.rows.iter().filter_map(|bar| Some((bar.value?, bar.deviation.unwrap_or_default())));
        let ends: Vec<f64> = ends.flat_map(|(value, deviation)| [value - deviation, value + deviation]).collect();
        Axis::of_bars(&ends, parts.clamp(2, 5).unsigned_abs())
    }

    /// A name at the middle of each row, downwards.
    fn names(&self) -> Axis {
        let ticks = (0..).zip(&self.rows).map(|(row, bar)| (f64::from(row) + 0.5, bar.name.clone())).collect();
        Axis { title: String::new(), low: (self.rows.len() as f64).max(1.0), high: 0.0, ticks }
    }

    /// What the bars do not say by themselves.
    fn remark(&self, axis: &Axis) -> String {
        match axis.ticks.first() {
            Some((place, label)) if *place > 0.0 => format!("{}; bars start at {label}, not at 0", self.note),
            _ => self.note.clone(),
        }
    }
}

impl Bar {
    fn draw(&self, context: &mut Context<'_, '_>, middle: f64, start: f64) -> Drawn {
        let Some(value) = self.value else { return Ok(()) };
        let colour = if self.is_best { Colour::First } else { Colour::Faint };
        let area = [(start, middle - 0.33), (value, middle + 0.33)];
        context.draw_series([Rectangle::new(area, colour.drawn().filled())])?;
        if let Some(deviation) = self.deviation {
            let ends = vec![(value - deviation, middle), (value + deviation, middle)];
            context.draw_series([PathElement::new(ends, stroke(Colour::Ink, 2))])?;
        }
        Ok(())
    }
}

fn draw_axes(context: &mut Context<'_, '_>) -> Drawn {
    let mut mesh = context.configure_mesh();
    mesh.disable_y_mesh().bold_line_style(stroke(Colour::Grid, 1)).light_line_style(plotters::style::TRANSPARENT);
    mesh.axis_style(stroke(Colour::Grid, 1)).set_all_tick_mark_size(px(4));
    mesh.x_label_style(letters(Colour::Muted)).y_label_style(letters(Colour::Ink)).draw()
}

/// Pixels that the longest of some texts needs, with space around it.
#[expect(clippy::cast_possible_truncation, reason = "it is cut to 180")]
fn width<'a>(texts: impl Iterator<Item = &'a String>) -> i32 {
    let letters = texts.map(|text| text.chars().count()).max().unwrap_or_default();
    (letters as f64 * LETTER + 20.0).min(180.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: Option<f64>, deviation: Option<f64>) -> Bar {
        let text = value.map_or("–".to_owned(), |value| format!("{value:.4}"));
        Bar { name: name.to_owned(), value, deviation, text, is_best: name == "secn" }
    }

    fn bars(rows: Vec<Bar>) -> Bars {
        Bars { title: "Logloss".into(), note: "less is better".into(), rows }
    }

    #[test]
    fn bars_carry_names_and_numbers_and_say_where_they_start() {
        let text = bars(vec![bar("secn", Some(0.4449), None), bar("fm", Some(0.4612), Some(0.001))]).svg();
        for part in
            ["secn", "fm", "0.4449", "0.4612", "less is better; bars start at 0.435, not at 0", "#1F5FBF", "#9DB8DE"]
        {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn bars_from_0_need_no_remark() {
        let text = bars(vec![bar("secn", Some(10.0), None), bar("fm", Some(90.0), None)]).svg();
        assert!(text.contains("less is better\n"), "{text}");
    }

    #[test]
    fn an_undefined_number_has_no_bar() {
        let text = bars(vec![bar("secn", None, None), bar("fm", None, None)]).svg();
        assert_eq!((text.matches("<rect").count(), text.matches('–').count()), (0, 2));
        assert!(bars(Vec::new()).svg().contains("Logloss"));
    }
}
