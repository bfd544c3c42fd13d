"""An LSTM language model: embedding, LSTM, softmax (Hochreiter & Schmidhuber 1997; Zaremba et al. 2014).

Letters: B batch, T time, D width, L layers, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from palaver_train.config import Shape

State = tuple[Tensor, Tensor]
"""Hidden and cell states (L, B, D)."""


class LstmLM(nn.Module):
    """One state carries all that was read; the softmax shares the embedding's weights (Press & Wolf 2017)."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(
            width, width, shape.layers, batch_first=True, dropout=shape.dropout if shape.layers > 1 else 0.0
        )
        self.unembedding = nn.Linear(width, vocabulary)
        self.unembedding.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=width**-0.5)  # logits of a fresh model are near 1 in size
        nn.init.zeros_(self.unembedding.bias)
        remember_at_first(self.lstm)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) for token ids (B, T)."""
        return self.step(tokens, None)[0]

    def hidden(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """What the last layer makes (B, T, D) of tokens (B, T) after a state, and the state after them."""
        dropout = self.shape.dropout
        x, after = self.lstm(F.dropout(self.embedding(tokens), dropout, self.training), state)
        return F.dropout(x, dropout, self.training), after

    def step(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Logits (B, T, V) for tokens (B, T) after a state, and the state after them."""
        x, after = self.hidden(tokens, state)
        return self.unembedding(x), after

    def length(self, state: State) -> int:
        """A recurrent state never grows."""
        return 0


def remember_at_first(lstm: nn.LSTM) -> None:
    """Forget gates begin open, with a bias of 1 (Jozefowicz et al. 2015, 2.2)."""
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_ih"):
            quarter = bias.shape[0] // 4
            nn.init.ones_(bias.data[quarter : 2 * quarter])  # input, forget, cell, output
