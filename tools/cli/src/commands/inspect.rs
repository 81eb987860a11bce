//! `lanerank inspect`: the contents of a model file.

use std::path::PathBuf;

use clap::Args;
use lanerank::format::directory::{Dtype, Layout, Section};
use lanerank::kernels::Kernels;
use lanerank::model::{Activation, Architecture, Head, Matrix, ModelConfig};
use lanerank::tokenizer::{Role, Spaces, TokenizerKind};
use lanerank::{CheckReport, Error, Model, Verify};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::arguments::model::{EMBEDDED, embedded, map};
use crate::failure::Failure;
use crate::output;
use crate::table::Table;

const FILE_HELP: &str = if cfg!(feature = "embedded-model") {
    "The model file [default: the embedded model]"
} else {
    "The model file"
};

/// Show the contents of a model file
#[derive(Debug, Args)]
pub struct InspectArgs {
    #[arg(env = "LANERANK_MODEL", hide_env_values = true, help = FILE_HELP)]
    file: Option<PathBuf>,

    /// Verify checksums and weights, and recompute the self-test
    #[arg(long)]
    check: bool,

    /// Write a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct SectionFacts<'a> {
    name: &'a str,
    dtype: String,
    layout: String,
    shape: &'a [usize],
    offset: usize,
    bytes: usize,
    checksum: String,
}

/// Runs the command.
///
/// # Errors
/// When the file is not a model. Exit code 1 when it is a model but fails its check.
pub fn run(args: &InspectArgs) -> Result<(), Failure> {
    let (model, name) = match &args.file {
        Some(path) => (map(path, Verify::Structure)?, path.display().to_string()),
        None => (embedded()?, EMBEDDED.to_owned()),
    };
    let report = if args.check {
        let kernels = Kernels::from_env().map_err(Error::from)?;
        let failed = |e| Failure::Failed(format!("{name}: check failed: {e}"));
        let report = model.check(kernels).map_err(failed)?;
        Some((kernels, report))
    } else {
        None
    };
    let facts = Map::from_iter([
        ("file_bytes".to_owned(), json!(model.file_len())),
        ("config".to_owned(), config(model.config())),
        ("activations".to_owned(), activations(&model)),
        ("metadata".to_owned(), metadata(&model)),
        ("tokenizer".to_owned(), tokenizer(&model)),
        ("prompts".to_owned(), prompts(&model)),
    ]);
    let sections: Vec<_> = model.sections().iter().map(section).collect();
    let check = report.map(|(kernels, report)| check(kernels, &report));
    if args.json {
        let mut all = facts;
        all.insert("sections".into(), json!(sections));
        all.insert("check".into(), check.unwrap_or(Value::Null));
        output::print(|out| output::write_json(out, &all))
    } else {
        print_text(&facts, &sections, check)
    }
}

fn config(config: &ModelConfig) -> Value {
    let mut facts = json!({
        "architecture": config.architecture.name(),
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings,
        "type_vocab_size": config.type_vocab_size,
        "hidden_act": match config.hidden_act {
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
            Activation::Relu => "relu",
            _ => "other",
        },
        "layer_norm_eps": shortest(config.layer_norm_eps),
        "max_length": config.max_length,
    });
    if let Architecture::Electra { embedding_size } = config.architecture {
        facts["embedding_size"] = json!(embedding_size);
    }
    match config.head {
        Head::Classifier { num_labels } => {
            facts["head"] = json!("classifier");
            facts["num_labels"] = json!(num_labels);
        }
        Head::Encoder { pooling, normalize } => {
            facts["head"] = json!("encoder");
            facts["pooling"] = json!(pooling.name());
            facts["normalize"] = json!(normalize);
        }
        _ => facts["head"] = json!("other"),
    }
    facts
}

/// The f64 that prints like the f32.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// Bits of the activations of each int8 matrix; empty without such matrices.
fn activations(model: &Model) -> Value {
    let any = has_int8_matrices(model);
    let matrices = Matrix::ALL.into_iter().filter(|_| any);
    matrices
        .map(|matrix| {
            let precision = model.activations().of(matrix);
            (matrix.name().to_owned(), json!(precision.name()))
        })
        .collect::<Map<_, _>>()
        .into()
}

/// Whether the file has a matrix that is multiplied in integers.
pub(super) fn has_int8_matrices(model: &Model) -> bool {
    let int8 = |s: &Section| s.dtype == Dtype::I8 && s.layout == Layout::Panels;
    model.sections().iter().any(int8)
}

fn metadata(model: &Model) -> Value {
    let pairs = model.metadata().iter();
    pairs
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect::<Map<_, _>>()
        .into()
}

fn tokenizer(model: &Model) -> Value {
    let rules = model.tokenizer().config();
    let added = rules.added_tokens.iter().map(|token| &token.content);
    let own = match rules.kind {
        TokenizerKind::WordPiece => json!({
            "kind": "WordPiece",
            "lowercase": rules.lowercase,
            "strip_accents": rules.strip_accents,
            "clean_text": rules.clean_text,
            "handle_chinese_chars": rules.handle_chinese_chars,
            "max_input_chars_per_word": rules.max_input_chars_per_word,
            "continuing_subword_prefix": rules.continuing_subword_prefix,
        }),
        TokenizerKind::Unigram(own) => json!({
            "kind": "Unigram",
            "split_whitespace": own.split_whitespace,
            "strip_left": own.strip_left,
            "strip_right": own.strip_right,
            "spaces": match own.spaces {
                Spaces::Kept => "kept",
                Spaces::One => "one",
                Spaces::Mark => "mark",
            },
        }),
        _ => json!({"kind": "other"}),
    };
    let mut all = json!({
        "pieces": model.tokenizer().vocab_size(),
        "unk_token": rules.unk_token,
        "cls_token": rules.cls_token,
        "sep_token": rules.sep_token,
        "pad_token": rules.pad_token,
        "mask_token": rules.mask_token,
        "added_tokens": added.collect::<Vec<_>>(),
    });
    if let (Some(all), Value::Object(own)) = (all.as_object_mut(), own) {
        all.extend(own);
    }
    all
}

/// The prompts that are not empty, by their role.
fn prompts(model: &Model) -> Value {
    let prompts = model.tokenizer().prompts();
    [
        ("query", Role::Query),
        ("passage", Role::Passage),
        ("text", Role::Text),
    ]
    .into_iter()
    .map(|(name, role)| (name.to_owned(), json!(prompts.of(role))))
    .filter(|(_, prompt)| prompt != "")
    .collect::<Map<_, _>>()
    .into()
}

fn section(section: &Section) -> SectionFacts<'_> {
    SectionFacts {
        name: &section.name,
        dtype: section.dtype.to_string(),
        layout: section.layout.to_string(),
        shape: &section.shape,
        offset: section.offset,
        bytes: section.len,
        checksum: format!("{:016x}", section.checksum),
    }
}

fn check(kernels: &Kernels, report: &CheckReport) -> Value {
    let rows = report
        .stored
        .iter()
        .zip(&report.computed)
        .map(|(row, computed)| {
            json!({
                "query": row.query, "passage": row.passage,
                "stored": shortest(row.logit), "computed": shortest(*computed),
            })
        });
    json!({
        "kernels": kernels.isa().to_string(),
        "max_difference": shortest(report.max_difference),
        "self_test": rows.collect::<Vec<_>>(),
    })
}

fn print_text(
    facts: &Map<String, Value>,
    sections: &[SectionFacts],
    check: Option<Value>,
) -> Result<(), Failure> {
    let mut summary = Table::new(&["fact", "value"]);
    for (name, value) in facts {
        match value {
            Value::Object(members) => {
                for (member, value) in members {
                    summary.row([format!("{name}.{member}"), shown(value)]);
                }
            }
            _ => summary.row([name.clone(), shown(value)]),
        }
    }
    let mut table = Table::new(&["section", "dtype", "layout", "shape", ">bytes", "checksum"]);
    for s in sections {
        let shape = s
            .shape
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join("x");
        table.row([
            s.name.to_owned(),
            s.dtype.clone(),
            s.layout.clone(),
            shape,
            s.bytes.to_string(),
            s.checksum.clone(),
        ]);
    }
    output::print(|out| {
        let width = output::terminal_width();
        summary.write(out, width)?;
        writeln!(out)?;
        table.write(out, width)?;
        match check {
            Some(check) => writeln!(
                out,
                "\ncheck: all checksums match, all weights are finite, the self-test is within {} \
                 on {}",
                check["max_difference"],
                shown(&check["kernels"])
            ),
            None => Ok(()),
        }
    })
}

/// A value for display: a string without its quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
