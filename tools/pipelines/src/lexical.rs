//! Lexical search: BM25 by tantivy, on stems of English words.

use std::collections::BTreeSet;

use lanerank_cli::failure::Failure;
use tantivy::collector::TopDocs;
use tantivy::columnar::Column;
use tantivy::query::BooleanQuery;
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Index, IndexWriter, Searcher, TantivyError, Term, doc};

use crate::collection::Document;
use crate::first_stage::{FirstStage, Found, engine_error, sort};

/// tantivy's analyzer for English: lower-case stems of words of at most 40 bytes.
const ANALYZER: &str = "en_stem";

/// Bytes of memory that tantivy may fill before it writes a segment.
const BUDGET: usize = 64 << 20;

/// An index in memory.
pub struct Lexical {
    searcher: Searcher,
    /// The documents' numbers, segment by segment.
    numbers: Vec<Column<u64>>,
    analyzer: TextAnalyzer,
    text: Field,
}

impl Lexical {
    /// Indexes documents.
    ///
    /// # Errors
    /// When tantivy fails.
    pub fn index(documents: &[Document]) -> Result<Self, Failure> {
        build(documents).map_err(tantivy_failure)
    }
}

fn tantivy_failure(error: TantivyError) -> Failure {
    engine_error("tantivy", error)
}

fn build(documents: &[Document]) -> Result<Lexical, TantivyError> {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(ANALYZER)
        .set_index_option(IndexRecordOption::WithFreqs);
    let text = schema.add_text_field(
        "text",
        TextOptions::default().set_indexing_options(indexing),
    );
    let number = schema.add_u64_field("number", FAST);
    let index = Index::create_in_ram(schema.build());
    // One thread, so that the segments, and so the order of ties, are reproducible.
    let mut writer: IndexWriter = index.writer_with_num_threads(1, BUDGET)?;
    for (place, document) in (0u64..).zip(documents) {
        writer.add_document(doc!(text => document.text.as_str(), number => place))?;
    }
    writer.commit()?;
    let searcher = index.reader()?.searcher();
    let column = |segment: &tantivy::SegmentReader| segment.fast_fields().u64("number");
    let numbers = searcher.segment_readers().iter().map(column);
    Ok(Lexical {
        numbers: numbers.collect::<Result<_, _>>()?,
        analyzer: index.tokenizer_for_field(text)?,
        searcher,
        text,
    })
}

impl Lexical {
    /// A query for any of the words, each once.
    fn query(&self, query: &str) -> BooleanQuery {
        let mut analyzer = self.analyzer.clone();
        let mut tokens = analyzer.token_stream(query);
        let mut words = BTreeSet::new();
        while let Some(token) = tokens.next() {
            words.insert(Term::from_field_text(self.text, &token.text));
        }
        BooleanQuery::new_multiterms_query(words.into_iter().collect())
    }
}

impl FirstStage for Lexical {
    fn retrieve(&self, query: &str, depth: usize) -> Result<Vec<Found>, Failure> {
        // tantivy allocates `depth` results and refuses 0.
        let depth = depth.min(self.searcher.num_docs() as usize);
        if depth == 0 {
            return Ok(Vec::new());
        }
        let best = TopDocs::with_limit(depth).order_by_score();
        let hits = self.searcher.search(&self.query(query), &best);
        let found = hits
            .map_err(tantivy_failure)?
            .into_iter()
            .filter_map(|(score, address)| {
                let number = self.numbers[address.segment_ord as usize].first(address.doc_id)?;
                Some(Found {
                    document: number as usize,
                    score,
                })
            });
        let mut found: Vec<Found> = found.collect();
        sort(&mut found);
        Ok(found)
    }
}
