//! Names of BERT's tensors in their several spellings.

/// The name without the `bert.` prefix and with a layer norm's `weight` and `bias`, which the first
/// releases called `gamma` and `beta`.
pub fn canonical(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    for (old, new) in [("gamma", "weight"), ("beta", "bias")] {
        if let Some(stem) = name.strip_suffix(old)
            && stem.ends_with("LayerNorm.")
        {
            return format!("{stem}{new}");
        }
    }
    name.to_owned()
}

/// Buffers that hold no weights.
pub fn is_buffer(name: &str) -> bool {
    matches!(
        name,
        "embeddings.position_ids" | "embeddings.token_type_ids"
    )
}

/// Whether a tensor (by its canonical name) is part of a BERT with this many layers, its pooler and
/// its classifier.
pub fn is_bert(name: &str, layers: usize) -> bool {
    const OUTSIDE: [&str; 5] = [
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.bias",
    ];
    const IN_LAYER: [&str; 8] = [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ];
    if OUTSIDE.contains(&name) {
        return true;
    }
    let Some((stem, "weight" | "bias")) = name.rsplit_once('.') else {
        return false;
    };
    match stem
        .strip_prefix("encoder.layer.")
        .and_then(|rest| rest.split_once('.'))
    {
        Some((number, part)) => {
            number.parse().is_ok_and(|n: usize| n < layers) && IN_LAYER.contains(&part)
        }
        None => matches!(stem, "pooler.dense" | "classifier"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(canonical("bert.pooler.dense.bias"), "pooler.dense.bias");
        assert_eq!(canonical("classifier.weight"), "classifier.weight");
        assert_eq!(
            canonical("encoder.layer.0.output.LayerNorm.gamma"),
            "encoder.layer.0.output.LayerNorm.weight"
        );
        assert_eq!(canonical("LayerNorm.beta"), "LayerNorm.bias");
        assert_eq!(canonical("x.gamma"), "x.gamma");
    }

    #[test]
    fn what_belongs_to_a_bert() {
        assert!(is_bert("embeddings.LayerNorm.bias", 1));
        assert!(is_bert("encoder.layer.1.attention.self.key.weight", 2));
        assert!(!is_bert("encoder.layer.2.attention.self.key.weight", 2));
        assert!(!is_bert(
            "encoder.layer.1.crossattention.self.key.weight",
            2
        ));
        assert!(is_bert("pooler.dense.weight", 1) && is_bert("classifier.bias", 1));
        assert!(!is_bert("cls.predictions.bias", 1) && !is_bert("", 1));
    }
}
