//! The colours of plots and pages, each in two shades: for light and for dark surroundings.
//!
//! A plot carries the light shades as they are; a style sheet puts the reader's shade in their place. So one SVG is
//! readable in both, and in a viewer that knows no style sheets.

use std::fmt::Write;

use plotters::style::RGBColor;

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// Text and what counts most.
    Ink,
    /// Labels, and lines to compare with.
    Muted,
    Grid,
    /// The first of two series.
    First,
    /// The second.
    Second,
    /// Bars beside the one of `First`.
    Faint,
    Page,
    Panel,
}

impl Colour {
    const ALL: [Self; 8] =
        [Self::Ink, Self::Muted, Self::Grid, Self::First, Self::Second, Self::Faint, Self::Page, Self::Panel];

    const fn name(self) -> &'static str {
        match self {
            Self::Ink => "ink",
            Self::Muted => "muted",
            Self::Grid => "grid",
            Self::First => "first",
            Self::Second => "second",
            Self::Faint => "faint",
            Self::Page => "page",
            Self::Panel => "panel",
        }
    }

    /// The light and the dark shade, as `0xRRGGBB`.
    const fn shades(self) -> (u32, u32) {
        match self {
            Self::Ink => (0x1C_24_30, 0xE8_EB_EF),
            Self::Muted => (0x5A_64_72, 0xA9_B3_BF),
            Self::Grid => (0xD8_DD_E3, 0x3A_42_4D),
            Self::First => (0x1F_5F_BF, 0x7F_B0_FF),
            Self::Second => (0xB8_50_0B, 0xFF_A5_5C),
            Self::Faint => (0x9D_B8_DE, 0x47_64_8F),
            Self::Page => (0xFF_FF_FF, 0x14_18_1D),
            Self::Panel => (0xF4_F6_F8, 0x1E_24_2B),
        }
    }

    /// The shade that plots are drawn with.
    pub(super) const fn drawn(self) -> RGBColor {
        let [_, red, green, blue] = self.shades().0.to_be_bytes();
        RGBColor(red, green, blue)
    }
}

/// Variables of all colours, by the reader's preference, and the rules that give them to drawn shapes.
pub(super) fn style_sheet() -> String {
    let mut sheet = String::from(":root{color-scheme:light dark");
    for colour in Colour::ALL {
        add(&mut sheet, format_args!(";--{}:#{:06X}", colour.name(), colour.shades().0));
    }
    sheet.push_str("}\n@media (prefers-color-scheme:dark){:root{");
    for colour in Colour::ALL {
        add(&mut sheet, format_args!("--{}:#{:06X};", colour.name(), colour.shades().1));
    }
    sheet.push_str("}}\n");
    for colour in Colour::ALL {
        let (name, light) = (colour.name(), colour.shades().0);
        add(&mut sheet, format_args!("svg [fill=\"#{light:06X}\"]{{fill:var(--{name})}}"));
        add(&mut sheet, format_args!("svg [stroke=\"#{light:06X}\"]{{stroke:var(--{name})}}\n"));
    }
    sheet
}

fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("text takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2).
    fn luminance(shade: u32) -> f64 {
        let linear = |byte: u8| {
            let share = f64::from(byte) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        let [_, red, green, blue] = shade.to_be_bytes();
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    fn contrast(left: u32, right: u32) -> f64 {
        let (left, right) = (luminance(left), luminance(right));
        (left.max(right) + 0.05) / (left.min(right) + 0.05)
    }

    #[test]
    fn text_and_lines_stand_out_in_both_shades() {
        for colour in [Colour::Ink, Colour::Muted, Colour::First, Colour::Second] {
            for ground in [Colour::Page, Colour::Panel] {
                let (light, dark) = (colour.shades(), ground.shades());
                let least = contrast(light.0, dark.0).min(contrast(light.1, dark.1));
                assert!(least >= 4.5, "{colour:?} on {ground:?}: {least}");
            }
        }
    }

    #[test]
    fn every_drawn_colour_has_a_rule_of_its_own() {
        let sheet = style_sheet();
        for colour in Colour::ALL {
            let RGBColor(red, green, blue) = colour.drawn();
            let drawn = format!("[fill=\"#{red:02X}{green:02X}{blue:02X}\"]");
            assert_eq!(sheet.matches(&drawn).count(), 1, "{colour:?}");
        }
    }
}
