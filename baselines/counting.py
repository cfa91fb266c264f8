"""Two sanity baselines that only count: most popular, and a first-order Markov chain."""

from __future__ import annotations

from dataclasses import replace

from baselines.deferred import Batch, Sequences, Tensor, TrainingData, torch
from baselines.method import FittedMethod, Scorer


class Popularity(FittedMethod):
    """Score every item by its number of training interactions, whatever the history."""

    version = 1

    def fit(self, data: TrainingData) -> Scorer:
        counts = torch.bincount(data.sequences.items, minlength=data.n_items).float()

        def score(histories: Batch) -> Tensor:
            return counts.expand(len(histories.lengths), -1)

        return score


class Markov(FittedMethod):
    """Score an item by how often it directly followed the history's last item in training.

    Popularity, scaled to stay below one, breaks ties and ranks the items that never followed.
    """

    version = 1

    def fit(self, data: TrainingData) -> Scorer:
        followers, counts = _followers(data)
        popularity = torch.bincount(data.sequences.items, minlength=data.n_items).float()
        popularity /= popularity.max() + 1

        def score(histories: Batch) -> Tensor:
            last = histories.items.gather(1, histories.lengths[:, None] - 1).squeeze(1)
            scores = popularity.repeat(len(last), 1)
            rows, items = followers.select(last).flatten()
            _, times = counts.select(last).flatten()
            return scores.index_put_((rows, items), times.float(), accumulate=True)

        return score


def _followers(data: TrainingData) -> tuple[Sequences, Sequences]:
    """Return, for each of the V items, the distinct items that followed it, and how often each of them did."""
    n_items, (users, items) = data.n_items, data.sequences.flatten()
    neighbours = users[1:] == users[:-1]
    pairs, counts = (items[:-1] * n_items + items[1:])[neighbours].unique(return_counts=True)
    lengths = torch.bincount(torch.div(pairs, n_items, rounding_mode="floor"), minlength=n_items)
    starts = lengths.cumsum(0) - lengths
    followers = replace(data.sequences, items=pairs % n_items, starts=starts, lengths=lengths)
    return followers, replace(followers, items=counts)
