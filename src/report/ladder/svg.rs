//! The ladder as an SVG file that needs nothing else: a picture for a slide. Kinds of arrows differ in dashes and
//! width, not only in colour.

use super::layout::{Layout, WIDTH};
use super::parts::{Anchor, Arrow, CROSS, End, FONT, LINE, Label, Role, Spot, Style};
use super::parts::{TITLE_FONT, TITLE_LINE};
use crate::report::lettering::svg_text;
use std::fmt::Write;

const INK: &str = "#1a1a1a";
const GREY: &str = "#5c5c5c";
const DATA: &str = "#0055a4";
const AGAIN: &str = "#b03000";

/// Length and half the width of an arrow's head.
const HEAD: (f64, f64) = (13.0, 4.5);

/// Draws a layout.
pub(super) fn draw(layout: &Layout) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"Arial, Helvetica, sans-serif\" \
         font-size=\"{FONT}\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        height = layout.height,
    );
    time_lines(&mut svg, layout);
    for arrow in layout.arrows.iter().chain(&layout.samples) {
        draw_arrow(&mut svg, arrow);
    }
    for (from, to) in &layout.leaders {
        line(&mut svg, *from, *to, &format!("stroke=\"{GREY}\" stroke-width=\"0.8\""));
    }
    for Spot { x, y } in &layout.dots {
        add(&mut svg, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>\n"));
    }
    for label in &layout.labels {
        draw_label(&mut svg, label);
    }
    svg.push_str("</svg>\n");
    svg
}

fn time_lines(svg: &mut String, layout: &Layout) {
    for x in [layout.sender_x, layout.receiver_x] {
        let from = Spot { x, y: layout.top };
        let to = Spot { x, y: layout.bottom };
        line(svg, from, to, &format!("stroke=\"{INK}\" stroke-width=\"2\""));
        for y in &layout.breaks {
            // A gap with a slanted stroke on each side of it.
            let from = Spot { x, y: y - 4.0 };
            line(svg, from, Spot { x, y: y + 4.0 }, "stroke=\"#ffffff\" stroke-width=\"4\"");
            for y in [y - 4.0, y + 4.0] {
                let from = Spot { x: x - 8.0, y: y + 4.0 };
                let to = Spot { x: x + 8.0, y: y - 4.0 };
                line(svg, from, to, &format!("stroke=\"{INK}\" stroke-width=\"1.6\""));
            }
        }
    }
}

fn draw_arrow(svg: &mut String, arrow: &Arrow) {
    let (color, look) = match arrow.style {
        Style::Data => (DATA, "stroke-width=\"1.8\""),
        Style::Again => (AGAIN, "stroke-width=\"3\" stroke-dasharray=\"13 5\""),
        Style::Ack => (GREY, "stroke-width=\"1.2\""),
        Style::Control => (INK, "stroke-width=\"1.4\" stroke-dasharray=\"2 4\""),
    };
    let (dx, dy) = (arrow.to.x - arrow.from.x, arrow.to.y - arrow.from.y);
    let length = dx.hypot(dy).max(1.0);
    let (dx, dy) = (dx / length, dy / length);
    let to = arrow.to;
    let back = |along: f64, aside: f64| Spot {
        x: to.x - along * dx - aside * dy,
        y: to.y - along * dy + aside * dx,
    };
    let end = if arrow.end == End::Head { back(HEAD.0 - 2.0, 0.0) } else { to };
    line(svg, arrow.from, end, &format!("stroke=\"{color}\" {look}"));
    if arrow.end == End::Head {
        let (one, other) = (back(HEAD.0, HEAD.1), back(HEAD.0, -HEAD.1));
        add(
            svg,
            format_args!(
                "<path d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\" fill=\"{color}\"/>\n",
                to.x, to.y, one.x, one.y, other.x, other.y
            ),
        );
        return;
    }
    // Damage is a hollow circle around the cross.
    if arrow.end == End::Damaged {
        let (x, y, r) = (to.x, to.y, CROSS + 2.0);
        add(
            svg,
            format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\" fill=\"#ffffff\" stroke=\"{INK}\"/>\n"
            ),
        );
    }
    let arm = if arrow.end == End::Damaged { CROSS * 0.7 } else { CROSS };
    for side in [-arm, arm] {
        let from = Spot { x: to.x - arm, y: to.y - side };
        let to = Spot { x: to.x + arm, y: to.y + side };
        line(svg, from, to, &format!("stroke=\"{INK}\" stroke-width=\"3\""));
    }
}

fn draw_label(svg: &mut String, label: &Label) {
    let area = label.area;
    if label.role == Role::Cause {
        // The arrows behind stay visible, the words readable.
        add(
            svg,
            format_args!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#ffffff\" \
                 fill-opacity=\"0.85\"/>\n",
                area.left, area.top, area.width, area.height
            ),
        );
    }
    let (x, anchor) = match label.anchor {
        Anchor::Start => (area.left, "start"),
        Anchor::Middle => (area.left + area.width / 2.0, "middle"),
        Anchor::End => (area.left + area.width, "end"),
    };
    let (font, step) =
        if label.role == Role::Title { (TITLE_FONT, TITLE_LINE) } else { (FONT, LINE) };
    let look = match label.role {
        Role::Title => format!(" font-size=\"{TITLE_FONT}\" font-weight=\"bold\""),
        Role::Head => " font-weight=\"bold\"".to_owned(),
        Role::Time | Role::Legend => format!(" fill=\"{GREY}\""),
        Role::Mark => " font-style=\"italic\"".to_owned(),
        Role::Note | Role::Cause => String::new(),
    };
    // The baseline: the middle of the line and then a third of the letters' height.
    let mut y = area.top + step / 2.0 + font * 0.35;
    for text in &label.lines {
        let text = svg_text(text);
        add(
            svg,
            format_args!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{look} \
                 xml:space=\"preserve\">{text}</text>\n"
            ),
        );
        y += step;
    }
}

fn line(svg: &mut String, from: Spot, to: Spot, look: &str) {
    add(
        svg,
        format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {look}/>\n",
            from.x, from.y, to.x, to.y
        ),
    );
}

fn add(svg: &mut String, element: std::fmt::Arguments<'_>) {
    svg.write_fmt(element).expect("a string takes every text");
}
