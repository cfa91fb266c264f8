"""Methods that treat users as sets of items: matrix factorisation, with or without Barlow Twins, and EASE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from baselines.deferred import Batch, F, Tensor, TrainBatch, TrainingData, encoders, regularizers, sequences, torch
from baselines.method import FittedMethod, Scorer, Terms, TrainedMethod
from baselines.settings import EncoderSettings, Precision, Weight


class MatrixFactorisation(TrainedMethod):
    """Matrix factorisation with the full softmax: L_pred + alpha * L_BT.

    L_pred is the softmax over the catalogue for every item of a user. L_BT compares each user with another one who has
    a random item of theirs. A user whose item no one else has is compared with themselves under another dropout mask.
    """

    version = 1
    encoder_version = 1  # raise it whenever the numbers of UserTable change
    known_users_only = True

    @dataclass(frozen=True)
    class Settings:
        alpha: Weight = 0.0
        lambd: Weight = 0.05  # as in BT-SR

    settings: Settings

    def prepare(self, data: TrainingData) -> None:
        self.data = data
        self.owners, items = data.sequences.flatten()  # (T,), (T,) all pairs of a user and an item
        self.sharers = sequences.TwinIndex.build(items)
        self.starts = data.sequences.lengths.cumsum(0) - data.sequences.lengths  # (n,) each user's first pair

    def build_encoder(self, n_items: int, settings: EncoderSettings, precision: Precision) -> encoders.UserTable:
        """Relies on `prepare`, which runs first, for the number of users."""
        return encoders.UserTable(len(self.data.sequences), n_items, settings, precision)

    def loss(self, encoder: encoders.UserTable, batch: TrainBatch, rng: torch.Generator) -> Terms:  # type: ignore[override]
        """Average over all items of the batch's users, where a user's logsumexp counts once per item."""
        data = batch.data
        own = sequences.windows(data.sequences, batch.rows, data.maxlen, data.pad_id, batch.host_rows)
        rows, places = own.positions  # (T,), (T,)
        z, table = encoder.user_vectors(batch.rows), encoder.item_table  # (B, D), (V, D)
        vectors = F.embedding(own.items[rows, places], table)  # (T, D)
        summed = z.new_zeros(z.shape).index_add(0, rows, vectors)  # (B, D) the sum of each user's items
        counts = own.lengths.to(z.dtype)  # (B,)
        losses = counts * (z @ table.T).logsumexp(1) - (z * summed).sum(1)
        terms = {"next-item": losses.sum() / counts.sum()}
        if self.settings.alpha:
            twins = encoder.user_vectors(self.draw_twins(batch.rows, rng))
            barlow_twins = regularizers.barlow_twins(z, twins, self.settings.lambd)
            terms["barlow-twins"] = self.settings.alpha * barlow_twins
        return terms

    def draw_twins(self, users: Tensor, rng: torch.Generator) -> Tensor:
        """Draw a random item of each user and return a random other user with that item, or the user, (B,)."""
        lengths = self.data.sequences.lengths[users]
        u = torch.rand(len(users), generator=rng, device=users.device, dtype=torch.float64)
        places = self.starts[users] + (u * lengths).long()  # (B,) indices of pairs
        return self.owners[self.sharers.draw(places, rng)]


class EASE(FittedMethod):
    """The linear item-item model EASE in closed form (Steck, WWW 2019).

    X (n, V) holds the users' sets, G = X'X + l2 I, P is the inverse of G and B = I - P / diag(P). The score of an item
    is the sum of its column of B over the history's items.
    """

    version = 1

    @dataclass(frozen=True)
    class Settings:
        l2: Annotated[float, Interval(ge=1e-3, le=1e9)] = 500.0  # Steck's value for MovieLens-20M

    settings: Settings

    def fit(self, data: TrainingData) -> Scorer:
        rows, items = data.user_items.flatten()
        x = torch.sparse_coo_tensor(
            torch.stack([rows, items]),
            torch.ones(len(rows), device=rows.device),
            (len(data.user_items), data.n_items),
            check_invariants=False,
        )
        gram = torch.sparse.mm(x.T, x.to_dense())  # (V, V)
        gram.diagonal().add_(self.settings.l2)
        p = torch.linalg.inv(gram)
        b = p.div_(-p.diagonal()).fill_diagonal_(0.0)  # divides each column by its own diagonal entry

        def score(histories: Batch) -> Tensor:
            own = torch.where(histories.mask(), histories.items, data.n_items)  # (B, L)
            sets = b.new_zeros(len(own), data.n_items + 1).scatter_(1, own, 1.0)[:, : data.n_items]  # (B, V)
            return sets @ b

        return score
