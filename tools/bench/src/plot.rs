//! Pictures in SVG, with the viewer's default sans-serif font.

use std::path::Path;

use lanerank::format::write::write_file;
use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::curve::{CurvePoint, CurveReport};
use crate::error::BenchError;
use crate::kernels::{KernelReport, KernelRow};
use crate::peaks::Peaks;

const FONT: &str = "sans-serif";
const WIDTH: u32 = 960;
/// Height of one diagram.
const HEIGHT: u32 = 560;
/// Distinguishable colours, after Okabe and Ito.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(80, 80, 80),
];

/// A part of a picture.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws diagrams one below the other and writes the picture.
fn write_svg(
    path: &Path,
    diagrams: usize,
    draw: impl FnOnce(&[Area<'_>]) -> Drawn,
) -> Result<(), BenchError> {
    let mut svg = String::new();
    let drawn = || -> Drawn {
        let size = (WIDTH, HEIGHT * diagrams as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        draw(&root.split_evenly((diagrams, 1)))?;
        Ok(root.present()?)
    };
    drawn().map_err(|e| BenchError::Picture {
        path: path.to_owned(),
        reason: e.to_string(),
    })?;
    write_file(path, svg.as_bytes()).map_err(BenchError::Write)
}

/// Draws a roofline per tier: the limits of bandwidth and arithmetic against operations per byte,
/// and the kernels as points.
///
/// # Errors
/// When the file cannot be written, or no tier has peaks.
pub fn rooflines(path: &Path, report: &KernelReport) -> Result<(), BenchError> {
    let has_points = |peaks: &Peaks| {
        report
            .kernels
            .iter()
            .any(|row| row.kernels == peaks.kernels)
    };
    let measured: Vec<&Peaks> = report
        .peaks
        .iter()
        .filter(|peaks| !peaks.bandwidths.is_empty() && has_points(peaks))
        .collect();
    if measured.is_empty() {
        return Err(BenchError::NoPeaks);
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

/// Kinds of arithmetic and their peaks; kinds with equal peaks share an entry.
fn ceilings(peaks: &Peaks) -> Vec<(String, f64)> {
    let mut ceilings: Vec<(String, f64)> = Vec::new();
    for (name, gops) in [
        ("int8", peaks.int8_gops),
        ("int16", peaks.int16_gops),
        ("f32", peaks.f32_gflops),
    ] {
        let Some(gops) = gops else { continue };
        match ceilings.last_mut() {
            Some((names, last)) if (*last / gops - 1.0).abs() < 0.03 => {
                *names = format!("{names}, {name}");
            }
            _ => ceilings.push((name.to_owned(), gops)),
        }
    }
    ceilings
}

fn text(text: String, at: (f64, f64), (h, v): (HPos, VPos)) -> Text<'static, (f64, f64), String> {
    let style = (FONT, 12).into_font().color(&BLACK.mix(0.75));
    Text::new(text, at, style.pos(Pos::new(h, v)))
}

fn roofline(area: &Area<'_>, peaks: &Peaks, rows: &[&KernelRow]) -> Drawn {
    let ceilings = ceilings(peaks);
    let highest = ceilings.iter().fold(1.0, |a: f64, (_, gops)| a.max(*gops));
    let lowest = rows.iter().fold(1.0, |a: f64, row| a.min(row.gops));
    let (x_range, y_range) = (0.07..2000.0, lowest / 6.0..2.2 * highest);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}, one thread", peaks.kernels), (FONT, 18))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(60)
        .build_cartesian_2d(x_range.clone().log_scale(), y_range.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("operations per byte of operands and results")
        .y_desc("billions of operations a second")
        .label_style((FONT, 13))
        .draw()?;
    for (i, bandwidth) in peaks.bandwidths.iter().enumerate() {
        let slope = bandwidth.gb_per_s;
        let top = (highest / slope, highest);
        let ends = [(x_range.start, x_range.start * slope), top];
        chart.draw_series(LineSeries::new(ends, BLACK.mix(0.6)))?;
        // The first two lines are close to each other.
        let side = if i == 0 { HPos::Right } else { HPos::Left };
        let name = format!("{}: {slope:.0} GB/s", bandwidth.size());
        chart.draw_series([text(name, top, (side, VPos::Bottom))])?;
    }
    let widest = peaks
        .bandwidths
        .iter()
        .fold(1.0, |a: f64, b| a.max(b.gb_per_s));
    for (name, gops) in ceilings {
        let ends = [(gops / widest, gops), (x_range.end, gops)];
        chart.draw_series(LineSeries::new(ends, BLACK.stroke_width(2)))?;
        let name = format!("{name}: {gops:.0} GOP/s");
        chart.draw_series([text(name, ends[1], (HPos::Right, VPos::Bottom))])?;
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
    legend(&mut chart, SeriesLabelPosition::LowerRight)
}

/// Draws a curve per tier.
///
/// # Errors
/// When the file cannot be written.
pub fn curve(path: &Path, report: &CurveReport) -> Result<(), BenchError> {
    write_svg(path, 1, |areas| match areas {
        [area, ..] => draw_curve(area, report),
        [] => Ok(()),
    })
}

fn draw_curve(area: &Area<'_>, report: &CurveReport) -> Drawn {
    let highest = |f: fn(&CurvePoint) -> f64| report.points.iter().map(f).fold(0.0, f64::max);
    let (x, y) = (highest(|p| p.x as f64), highest(|p| p.ms_per_passage));
    let mut chart = ChartBuilder::on(area)
        .caption(report.title(), (FONT, 18))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..1.03 * x, 0.0..1.05 * y)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(report.curve.name())
        .y_desc("milliseconds a passage")
        .label_style((FONT, 13))
        .draw()?;
    for (tier, colour) in report.tiers().into_iter().zip(COLOURS) {
        let line = report.line(tier);
        chart.draw_series(line.iter().map(|&at| Circle::new(at, 3, colour.filled())))?;
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(tier)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

fn legend<'a, C: CoordTranslate>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, C>,
    position: SeriesLabelPosition,
) -> Drawn {
    chart
        .configure_series_labels()
        .position(position)
        .label_font((FONT, 13))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.4))
        .draw()?;
    Ok(())
}

/// Legend entry of an operation; small operations share one.
fn group(op: &str) -> &'static str {
    match op {
        _ if op.starts_with("gemm_i8_a16") => "gemm_i8_a16",
        _ if op.starts_with("gemm_i8") => "gemm_i8",
        _ if op.starts_with("gemm_f16") => "gemm_f16",
        _ if op.starts_with("gemm_f32") => "gemm_f32",
        "attention_i8" => "attention_i8",
        "attention" | "cls_attention" => "attention (f32), first token's",
        _ => "row-wise",
    }
}
