//! `lanerank models`: models by name, from the Hugging Face hub.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use lanerank_convert::convert::WeightDtype;
use lanerank_convert::hub::registry::{MODELS, Registered};
use lanerank_convert::hub::{Hub, ModelId, Snapshot};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::table::Table;

/// List, download and remove models. MODEL is a name from the list, or org/name or
/// org/name@revision on the hub
#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the registered models, and the models on this machine
    List {
        /// Write a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Download a model or its update from the hub, convert it and print the path of the model
    /// file; the only command that uses the network
    Pull {
        /// The model
        model: ModelId,
        /// Type of the stored weights: int8, f16 or f32
        #[arg(long, default_value = "int8")]
        dtype: WeightDtype,
    },
    /// Print the path of a downloaded model's file, after converting it if necessary
    Path {
        /// The model
        model: ModelId,
        /// Type of the stored weights: int8, f16 or f32
        #[arg(long, default_value = "int8")]
        dtype: WeightDtype,
    },
    /// Remove a model: its model files and its folder in the hub's cache, which other programs use
    /// too
    Remove {
        /// The model
        model: ModelId,
        /// Keep the folder in the hub's cache
        #[arg(long)]
        keep_source: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// When the hub, the connection or the disk fails, or the model cannot be converted.
pub fn run(args: &ModelsArgs) -> Result<(), Failure> {
    let hub = Hub::from_env()?;
    match &args.action {
        Action::List { json } => list(&hub, *json),
        Action::Pull { model, dtype } => {
            let path = pull(&hub, model, *dtype)?;
            print_path(&path)
        }
        Action::Path { model, dtype } => print_path(&find(&hub, model, *dtype)?),
        Action::Remove { model, keep_source } => remove(&hub, model, *keep_source),
    }
}

/// The int8 file of a downloaded model; `None` if this is rather the path of a file that is not
/// there.
///
/// # Errors
/// When it looks like a name but is no model's, or the model is not on this machine; names the
/// command that downloads it.
pub(crate) fn of_name(name: &str) -> Result<Option<PathBuf>, Failure> {
    match name.parse::<ModelId>() {
        Ok(id) => find(&Hub::from_env()?, &id, WeightDtype::Int8).map(Some),
        Err(e) if is_plain(Path::new(name)) => Err(e.into()),
        Err(_) => Ok(None),
    }
}

/// Whether this is a single word without an extension, such as a misspelt name.
fn is_plain(model: &Path) -> bool {
    model.extension().is_none() && model.components().count() == 1
}

fn find(hub: &Hub, id: &ModelId, dtype: WeightDtype) -> Result<PathBuf, Failure> {
    let snapshot = hub.find(id).ok_or_else(|| {
        Failure::Usage(format!(
            "{id} is neither a file nor a model on this machine; `lanerank models pull {id}` \
             fetches it from the hub"
        ))
    })?;
    with_bar(|progress| Ok(hub.lane(&snapshot, dtype, progress)?))
}

fn pull(hub: &Hub, id: &ModelId, dtype: WeightDtype) -> Result<PathBuf, Failure> {
    let bar = output::bytes_progress();
    let pulled = hub.pull(id, &mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(progress.file.to_owned());
    });
    bar.finish_and_clear();
    let snapshot: Snapshot = pulled?;
    with_bar(|progress| {
        // Opened, so that a damaged file is replaced.
        hub.open(&snapshot, dtype, progress)?;
        Ok(hub.lane(&snapshot, dtype, progress)?)
    })
}

fn with_bar<T>(
    work: impl FnOnce(&mut dyn FnMut(usize, usize)) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let bar = output::progress(0, "weights");
    let result = work(&mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    result
}

fn print_path(path: &Path) -> Result<(), Failure> {
    output::print(|out| writeln!(out, "{}", path.display()))
}

fn remove(hub: &Hub, id: &ModelId, keep_source: bool) -> Result<(), Failure> {
    let removed = hub.remove(id, keep_source)?;
    if removed.is_empty() {
        return Err(Failure::Usage(format!("{id} is not on this machine")));
    }
    for folder in removed {
        output::notice(format!("removed {}", folder.display()));
    }
    Ok(())
}

/// A model in the list.
#[derive(Serialize)]
struct Row {
    id: String,
    repository: String,
    revision: Option<String>,
    license: Option<&'static str>,
    languages: Option<&'static str>,
    trec_dl19_ndcg_at_10: Option<f32>,
    ms_marco_dev_mrr_at_10: Option<f32>,
    /// Whether the hub's cache has all of it.
    fetched: bool,
    files: Vec<PathBuf>,
}

impl Row {
    fn registered(hub: &Hub, model: &Registered, files: Vec<PathBuf>) -> Row {
        let quality = model.quality.as_ref();
        Row {
            id: model.id.into(),
            repository: model.repository.into(),
            revision: Some(model.revision.into()),
            license: Some(model.license),
            languages: Some(model.languages),
            trec_dl19_ndcg_at_10: quality.map(|q| q.trec_dl19_ndcg_at_10),
            ms_marco_dev_mrr_at_10: quality.map(|q| q.ms_marco_dev_mrr_at_10),
            fetched: is_fetched(hub, model.id),
            files,
        }
    }

    fn other(hub: &Hub, repository: String, files: Vec<PathBuf>) -> Row {
        Row {
            id: repository.clone(),
            fetched: is_fetched(hub, &repository),
            repository,
            revision: None,
            license: None,
            languages: None,
            trec_dl19_ndcg_at_10: None,
            ms_marco_dev_mrr_at_10: None,
            files,
        }
    }
}

fn is_fetched(hub: &Hub, id: &str) -> bool {
    id.parse().is_ok_and(|id| hub.find(&id).is_some())
}

fn rows(hub: &Hub) -> Vec<Row> {
    let mut converted = hub.converted();
    let mut rows = Vec::new();
    for model in &MODELS {
        let names = [Some(model.repository), model.former_repository];
        let is_its = |(name, _): &mut (String, _)| names.contains(&Some(name.as_str()));
        let files = converted
            .extract_if(.., is_its)
            .flat_map(|(_, files)| files);
        rows.push(Row::registered(hub, model, files.collect()));
    }
    let others = converted.into_iter();
    rows.extend(others.map(|(repository, files)| Row::other(hub, repository, files)));
    rows
}

fn list(hub: &Hub, json: bool) -> Result<(), Failure> {
    let rows = rows(hub);
    if json {
        return output::print(|out| output::write_json(out, &rows));
    }
    let mut table = Table::new(&[
        "model",
        ">nDCG@10",
        ">MRR@10",
        "here",
        "license",
        "languages",
        "repository",
    ]);
    for row in rows {
        let figure = |value: Option<f32>| value.map_or("-".into(), |v| format!("{v:.2}"));
        let here = match (row.files.is_empty(), row.fetched) {
            (false, _) => "yes",
            (true, true) => "fetched",
            (true, false) => "-",
        };
        let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
        table.row([
            row.id,
            figure(row.trec_dl19_ndcg_at_10),
            figure(row.ms_marco_dev_mrr_at_10),
            here.to_owned(),
            text(row.license),
            text(row.languages),
            row.repository,
        ]);
    }
    output::print(|out| {
        table.write(out, output::terminal_width())?;
        writeln!(
            out,
            "\nPublished figures of the f32 originals: nDCG@10 on TREC DL 2019, MRR@10 on MS MARCO \
             dev"
        )
    })
}
