//! A plot of lines, areas and dots over two axes, as one SVG.

use std::io;

use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{Shift, cartesian::Cartesian2d},
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement},
    prelude::SVGBackend,
    series::{AreaSeries, DashedLineSeries, LineSeries},
    style::{Color, IntoFont, ShapeStyle, TextStyle},
};

use super::{axis::Axis, html::escaped, theme::Colour};
use crate::metrics::Point;

/// Units a pixel: `plotters` rounds every place to whole units, which would be steps in a curve.
const SCALE: i32 = 4;

/// Pixels of a label's letters; a phone shows a plot at three quarters of its size.
const LETTERS: i32 = 15;

/// Pixels of a plot.
const SIZE: [i32; 2] = [480, 340];

pub(super) type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<io::Error>>;
pub(super) type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// What is drawn over the axes, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    Line(Vec<Point>, Colour),
    Dashed(Vec<Point>, Colour),
    /// Filled down to 0.
    Area(Vec<Point>, Colour),
    Dots(Vec<Point>, Colour),
    /// From the first to the second height at a place.
    Whisker {
        x: f64,
        from: f64,
        to: f64,
    },
}

/// Draws a plot; `label` says what it shows to who cannot see it.
pub(super) fn chart(label: &str, [x, y]: [&Axis; 2], marks: &[Mark]) -> String {
    let letters = y.ticks.iter().map(|tick| tick.1.chars().count()).max().unwrap_or_default();
    let before = 38 + 9 * i32::try_from(letters).expect("a label is short");
    svg(label, SIZE, |root| {
        let mut builder = ChartBuilder::on(root);
        builder.margin(px(8)).margin_right(px(18)).x_label_area_size(px(46)).y_label_area_size(px(before));
        let mut context = builder.build_cartesian_2d(x.clone(), y.clone())?;
        draw_axes(&mut context, x, y)?;
        marks.iter().try_for_each(|mark| mark.draw(&mut context))
    })
}

/// An SVG of `size` pixels that `draw` fills; it takes the width of what holds it.
pub(super) fn svg(label: &str, size: [i32; 2], draw: impl FnOnce(&Root<'_>) -> Drawn) -> String {
    let [width, height] = size.map(|pixels| px(pixels).unsigned_abs());
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
    draw(&root).and_then(|()| root.present()).expect("text takes any drawing");
    drop(root);
    let (_, shapes) = text.split_once('>').expect("an SVG begins with its tag");
    let label = escaped(label);
    let namespace = "xmlns=\"http://www.w3.org/2000/svg\"";
    format!("<svg {namespace} viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">{shapes}")
}

/// Units of so many pixels.
pub(super) const fn px(pixels: i32) -> i32 {
    pixels * SCALE
}

pub(super) fn stroke(colour: Colour, pixels: i32) -> ShapeStyle {
    colour.drawn().stroke_width(px(pixels).unsigned_abs())
}

/// Letters of the usual size.
pub(super) fn letters(colour: Colour) -> TextStyle<'static> {
    // the backend writes a font's size divided by 1.24
    ("sans-serif", f64::from(px(LETTERS)) * 1.24).into_font().color(&colour.drawn())
}

fn draw_axes(context: &mut Context<'_, '_>, x: &Axis, y: &Axis) -> Drawn {
    let mut mesh = context.configure_mesh();
    mesh.bold_line_style(stroke(Colour::Grid, 1)).light_line_style(plotters::style::TRANSPARENT);
    mesh.axis_style(stroke(Colour::Grid, 1)).label_style(letters(Colour::Muted)).set_all_tick_mark_size(px(4));
    mesh.axis_desc_style(letters(Colour::Ink)).x_desc(x.title.as_str()).y_desc(y.title.as_str()).draw()
}

impl Mark {
    fn draw(&self, context: &mut Context<'_, '_>) -> Drawn {
        let places = |points: &[Point]| points.iter().map(|&[x, y]| (x, y)).collect::<Vec<_>>();
        match self {
            Self::Line(points, colour) => {
                context.draw_series(LineSeries::new(places(points), stroke(*colour, 2)))?;
            }
            Self::Dashed(points, colour) => {
                let style = stroke(*colour, 2);
                context.draw_series(DashedLineSeries::new(places(points), px(6), px(4), style))?;
            }
            Self::Area(points, colour) => {
                let area = AreaSeries::new(places(points), 0.0, colour.drawn().mix(0.25));
                context.draw_series(area.border_style(stroke(*colour, 2)))?;
            }
            Self::Dots(points, colour) => {
                let dot = |place| Circle::new(place, px(4), colour.drawn().filled());
                context.draw_series(places(points).into_iter().map(dot))?;
            }
            &Self::Whisker { x, from, to } => {
                let line = PathElement::new(vec![(x, from), (x, to)], stroke(Colour::First, 1));
                context.draw_series([line])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(mark: Mark) -> String {
        chart("a <plot>", [&Axis::share("x & y"), &Axis::share("y")], &[mark])
    }

    #[test]
    fn a_plot_scales_with_its_place_and_has_a_name() {
        let text = one(Mark::Line(vec![[0.0, 0.0], [1.0, 1.0]], Colour::First));
        assert!(text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1920 1360\" role=\"img\""));
        assert!(!text.contains(" width=\"1920\"") && text.contains("aria-label=\"a &lt;plot&gt;\""));
        assert!(text.contains("x &amp; y") && text.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn every_mark_is_drawn_in_its_colour() {
        let points = vec![[0.0, 0.0], [0.5, 0.5]];
        let colour = "\"#B8500B\"";
        assert!(one(Mark::Dashed(points.clone(), Colour::Second)).matches(colour).count() > 3);
        assert!(one(Mark::Area(points.clone(), Colour::Second)).contains("<polygon"));
        assert_eq!(one(Mark::Dots(points, Colour::Second)).matches("<circle").count(), 2);
        assert!(one(Mark::Whisker { x: 0.5, from: 0.1, to: 0.3 }).contains("\"#1F5FBF\""));
    }

    #[test]
    fn a_mark_without_points_leaves_the_axes_alone() {
        assert!(one(Mark::Line(Vec::new(), Colour::First)).contains("0.4"));
        assert!(one(Mark::Dashed(Vec::new(), Colour::First)).contains("0.4"));
        assert!(one(Mark::Area(Vec::new(), Colour::First)).contains("0.4"));
    }
}
