//! Pictures: SVG, with whatever font the viewer has.

use std::path::Path;

use lanerank::format::write::write_file;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::kernels::{KernelReport, KernelRow};
use super::peaks::Peaks;
use crate::failure::Failure;

pub const FONT: &str = "sans-serif";
const WIDTH: u32 = 960;
/// Height of one diagram.
const HEIGHT: u32 = 560;
/// Colours of things that are told apart, after Okabe and Ito.
pub const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(80, 80, 80),
];

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws diagrams below each other and writes the picture.
///
/// # Errors
/// When the file cannot be written.
pub fn write_svg(
    path: &Path,
    diagrams: usize,
    draw: impl FnOnce(&[Area<'_>]) -> Drawn,
) -> Result<(), Failure> {
    let mut svg = String::new();
    let drawn = || -> Drawn {
        let size = (WIDTH, HEIGHT * diagrams as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        draw(&root.split_evenly((diagrams, 1)))?;
        Ok(root.present()?)
    };
    drawn().map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
    write_file(path, svg.as_bytes()).map_err(|e| Failure::Failed(e.to_string()))
}

/// A roofline diagram of each tier: what bandwidth and arithmetic allow at so many operations a byte,
/// and where the kernels are.
///
/// # Errors
/// When the file cannot be written, or no tier's peaks could be measured.
pub fn rooflines(path: &Path, report: &KernelReport) -> Result<(), Failure> {
    let measured: Vec<&Peaks> = report
        .peaks
        .iter()
        .filter(|peaks| !peaks.bandwidths.is_empty())
        .collect();
    if measured.is_empty() {
        let reason = "--plot: no tier here has peaks to be measured, which a roofline is made of";
        return Err(Failure::Usage(reason.into()));
    }
    write_svg(path, measured.len(), |areas| {
        for (area, peaks) in areas.iter().zip(measured) {
            let rows = report.kernels.iter();
            let rows: Vec<_> = rows.filter(|row| row.kernels == peaks.kernels).collect();
            roofline(area, peaks, &rows)?;
        }
        Ok(())
    })
}

fn roofline(area: &Area<'_>, peaks: &Peaks, rows: &[&KernelRow]) -> Drawn {
    let ceilings = [
        ("int8", peaks.int8_gops),
        ("int16", peaks.int16_gops),
        ("f32", peaks.f32_gflops),
    ];
    let ceilings = ceilings.map(|(name, gops)| (name, gops.unwrap_or(f64::NAN)));
    let highest = ceilings.iter().fold(1.0, |a: f64, (_, gops)| a.max(*gops));
    let (x_range, y_range) = (0.08..2000.0, 0.5..2.5 * highest);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: one thread", peaks.kernels), (FONT, 18))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(60)
        .build_cartesian_2d(x_range.clone().log_scale(), y_range.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("operations a byte of operands and results")
        .y_desc("billions of operations a second")
        .label_style((FONT, 13))
        .draw()?;
    let label = |text: String, at: (f64, f64), pos: Pos| {
        let style = (FONT, 12).into_font().color(&BLACK.mix(0.75)).pos(pos);
        Text::new(text, at, style)
    };
    for bandwidth in &peaks.bandwidths {
        let slope = bandwidth.gb_per_s;
        let ends = [x_range.start, (highest / slope).min(x_range.end)].map(|x| (x, x * slope));
        chart.draw_series(LineSeries::new(ends, BLACK.mix(0.6)))?;
        let name = match bandwidth.bytes >> 10 {
            kb @ 0..1024 => format!("{kb} KB"),
            kb => format!("{} MB", kb >> 10),
        };
        let at = (0.7 / slope.max(8.7), 0.7 * slope / slope.max(8.7));
        let text = format!("{name}: {slope:.0} GB/s");
        let pos = Pos::new(HPos::Left, VPos::Top);
        chart.draw_series([label(text, at, pos)])?;
    }
    let widest = peaks.bandwidths.iter().map(|b| b.gb_per_s);
    let widest = widest.fold(1.0, f64::max);
    for (name, gops) in ceilings.into_iter().filter(|(_, gops)| gops.is_finite()) {
        let ends = [(gops / widest, gops), (x_range.end, gops)];
        chart.draw_series(LineSeries::new(ends, BLACK.stroke_width(2)))?;
        let pos = Pos::new(HPos::Right, VPos::Bottom);
        let text = format!("{name}: {gops:.0}");
        chart.draw_series([label(text, (x_range.end, gops), pos)])?;
    }
    let mut groups: Vec<&str> = rows.iter().map(|row| group(row.op)).collect();
    groups.sort_unstable();
    groups.dedup();
    for (name, colour) in groups.into_iter().zip(COLOURS) {
        let rows = rows.iter().filter(|row| group(row.op) == name);
        let at = |row: &&KernelRow| (row.ops_per_byte, row.gops);
        let points = rows.map(|row| Circle::new(at(row), 4, colour.mix(0.8).filled()));
        chart
            .draw_series(points)?
            .label(name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font((FONT, 13))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.4))
        .draw()?;
    Ok(())
}

/// What a point is shown as: its operation, the small ones together.
fn group(op: &str) -> &'static str {
    match op {
        _ if op.starts_with("gemm_i8_a16") => "gemm_i8_a16",
        _ if op.starts_with("gemm_i8") => "gemm_i8",
        _ if op.starts_with("gemm_f16") => "gemm_f16",
        _ if op.starts_with("gemm_f32") => "gemm_f32",
        "attention_i16" => "attention_i16",
        "attention" | "cls_attention" => "attention (f32), first token's",
        _ => "row-wise",
    }
}
