"""Rerank search results with a small cross-encoder on an ordinary CPU.

from lanerank import Ranker, RerankRequest

ranker = Ranker()       # a model for English is inside: no file, no network
passages = [{"id": 1, "text": "The lamp is lit at dusk."}, {"id": 2, "text": "Bread dries out."}]
ranker.rerank(RerankRequest(query="how to keep bread fresh", passages=passages))
ranker.rank("how to keep bread fresh", ["The lamp is lit at dusk.", "Bread dries out."])
"""

from ._lanerank import Hit, HubError, ModelError, __version__
from ._models import Encoder, Ranker, RerankRequest

__all__ = ["Encoder", "Hit", "HubError", "ModelError", "Ranker", "RerankRequest", "__version__"]
