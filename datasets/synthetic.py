"""Synthetic interactions with the structure that matters to sequential recommenders, for demos, tests and benchmarks.

Every item belongs to an intent. Item popularity follows Zipf's law and peaks at a time of its own. A user has home
intents and often moves to one of the few usual successors of a recent item, otherwise home or to an intent chosen by a
Markov chain. As a result, order carries signal (a first-order Markov chain beats popularity), a longer memory helps
further, and popularity has a long tail. Users arrive at any time, stay for a while and act in bursts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from datasets.interactions import DataError, Interactions

DEMO_USERS, DEMO_ITEMS, DEMO_INTERACTIONS = 1_500, 400, 25_000

FIRST_TIMESTAMP = 1_546_300_800  # 2019-01-01
PERIOD_SECONDS = 2 * 365 * 86_400
MEAN_STAY = 0.12  # of a user, as a share of the period
NEW_VISIT_SHARE = 0.2  # of interactions begin a new visit
PAUSE_SECONDS = 90  # median pause within a visit
TIE_SHARE = 0.01

EPOCHS = 6  # parts of the period with different popularity
FASHION_WIDTH = 0.25  # of an item's peak, as a share of the period
ZIPF_OFFSET = 3
SUCCESSORS = np.array([0.55, 0.25, 0.12, 0.08])  # probabilities of an item's usual successors
FOLLOW_SHARE = 0.5  # of moves go to a usual successor
LOOK_BACK_SHARE = 0.3  # of moves start from the item before the last one
HOMES = 2  # home intents per user
HOME_SHARE = 0.7  # of the other moves go home
STAY_SHARE = 0.7  # probability that the Markov chain stays with an intent
REMEMBERED = 32  # recent items that a user avoids
ATTEMPTS = 4  # to draw an item that the user does not avoid


def demo(seed: int = 0) -> Interactions:
    """Generate a small dataset from which an encoder of width 64 learns the order within seconds."""
    return generate(DEMO_USERS, DEMO_ITEMS, DEMO_INTERACTIONS, seed)


def generate(users: int, items: int, interactions: int, seed: int = 0) -> Interactions:
    """Generate exactly this many users, items and interactions, in time order per user; ids count from 0.

    Raises DataError if there are not enough interactions for every user and every item.
    """
    if min(users, items) < 1 or interactions < max(users, items):
        raise DataError(
            f"synthetic data of {users} users, {items} items and {interactions} interactions cannot be "
            "generated; give at least one of each, and an interaction for every user and item"
        )
    rng = np.random.default_rng(seed)
    lengths = _lengths(users, interactions, rng)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    seconds = _timestamps(lengths, offsets, rng)
    catalogue = _Catalogue.build(items, rng)
    epochs = np.minimum(EPOCHS - 1, EPOCHS * (seconds - FIRST_TIMESTAMP) // PERIOD_SECONDS)
    walked = _walk(catalogue, lengths, offsets[:-1], epochs, rng)
    user_ids, item_ids = np.repeat(np.arange(users), lengths), rng.permutation(items)[_cover(walked, items, rng)]
    return Interactions(
        user_ids.astype(np.int32), item_ids.astype(np.int32), seconds, np.arange(users), np.arange(items)
    )


def _lengths(users: int, interactions: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the number of interactions of each user, (users,) int64, log-normally above a minimum."""
    minimum = min(5, interactions // users)
    activity = rng.lognormal(sigma=0.9, size=users)
    return minimum + rng.multinomial(interactions - minimum * users, activity / activity.sum())


def _timestamps(lengths: np.ndarray, offsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the Unix seconds of each interaction, (n,) int64, ascending per user and with few ties."""
    n = int(offsets[-1])
    owners = np.repeat(np.arange(len(lengths)), lengths)
    stays = np.minimum(0.5, rng.gamma(2.0, MEAN_STAY / 2, size=len(lengths))) * PERIOD_SECONDS
    visits = np.maximum(1.0, NEW_VISIT_SHARE * lengths)
    away = rng.exponential(size=n) * (stays / visits)[owners]
    pauses = rng.lognormal(np.log(PAUSE_SECONDS), 1.0, size=n) * (rng.random(n) > TIE_SHARE)
    gaps = np.where(rng.random(n) < NEW_VISIT_SHARE, away, pauses)
    gaps[offsets[:-1]] = 0
    elapsed = np.cumsum(gaps)
    elapsed -= elapsed[offsets[:-1]][owners]
    durations = elapsed[offsets[1:] - 1]
    squeeze = np.minimum(1.0, 0.9 * PERIOD_SECONDS / np.maximum(durations, 1.0))
    arrivals = rng.random(len(lengths)) * (PERIOD_SECONDS - durations * squeeze)
    return FIRST_TIMESTAMP + (arrivals[owners] + elapsed * squeeze[owners]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Catalogue:
    """V items, sorted by their K intents, and the distributions to draw from as cumulative sums."""

    bounds: np.ndarray  # (K + 1,) the first item of each intent
    intents: np.ndarray  # (V,) the intent of each item
    mass: np.ndarray  # (EPOCHS * V + 1,) cumulative popularity, epoch after epoch
    chain: np.ndarray  # (K, K) cumulative transition probabilities between intents
    successors: np.ndarray  # (V, 4) the usual successors of each item, the most frequent one first

    @classmethod
    def build(cls, items: int, rng: np.random.Generator) -> _Catalogue:
        n_intents = int(np.clip(items // 25, 1, 64))
        bounds = np.linspace(0, items, n_intents + 1).astype(np.int64)
        intents = np.repeat(np.arange(n_intents), np.diff(bounds))
        popularity = 1.0 / (rng.permutation(items) + ZIPF_OFFSET)
        middles = (np.arange(EPOCHS)[:, None] + 0.5) / EPOCHS  # (EPOCHS, 1) as shares of the period
        fashion = 0.2 + np.exp(-(((middles - rng.random(items)) / FASHION_WIDTH) ** 2))  # (EPOCHS, V)
        mass = np.concatenate([[0.0], np.cumsum(fashion * popularity)])
        leaving = rng.dirichlet(np.full(n_intents, 0.3), size=n_intents)
        chain = np.cumsum(STAY_SHARE * np.eye(n_intents) + (1 - STAY_SHARE) * leaving, axis=1)
        found = cls(bounds, intents, mass, chain, np.empty((items, 0), dtype=np.int64))
        followers = [found.draw(rng.integers(EPOCHS, size=items), found.move(intents, rng), rng) for _ in SUCCESSORS]
        return replace(found, successors=np.stack(followers, axis=1))

    def move(self, intents: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the next intent from the Markov chain for each of `intents` (m,)."""
        reached = rng.random((len(intents), 1)) > self.chain[intents]  # (m, K)
        return np.minimum(reached.sum(axis=1), len(self.chain) - 1)

    def draw(self, epochs: np.ndarray, intents: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw an item for each epoch and intent (m,) in proportion to its popularity there."""
        first, last = self.bounds[intents], self.bounds[intents + 1] - 1
        shift = epochs * len(self.intents)
        low, high = self.mass[shift + first], self.mass[shift + last + 1]
        drawn = low + rng.random(len(intents)) * (high - low)
        return np.clip(np.searchsorted(self.mass, drawn, side="right") - 1 - shift, first, last)

    def follow(self, items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a usual successor of each of `items` (m,)."""
        usual = np.searchsorted(np.cumsum(SUCCESSORS)[:-1], rng.random(len(items)))
        return self.successors[items, usual]


def _walk(
    catalogue: _Catalogue, lengths: np.ndarray, starts: np.ndarray, epochs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw the item of each interaction, (n,) int64, one step of all users at a time."""
    by_length = np.argsort(-lengths, kind="stable")  # the users who are still active at a step come first
    homes = rng.integers(len(catalogue.chain), size=(len(lengths), HOMES))
    last = before = catalogue.draw(epochs[starts[by_length]], homes[:, 0], rng)
    recent = np.full((len(lengths), REMEMBERED), -1)
    walked = np.empty(len(epochs), dtype=np.int64)
    walking = len(lengths) - np.cumsum(np.bincount(lengths))  # users with more than `step` interactions
    for step, n in enumerate(walking[:-1]):
        rows = starts[by_length[:n]] + step
        origins = np.where(rng.random(n) < LOOK_BACK_SHARE, before[:n], last[:n])
        last, before = _step(catalogue, origins, homes[:n], recent[:n], epochs[rows], rng), last
        recent[:n, step % REMEMBERED] = last
        walked[rows] = last
    return walked


def _step(
    catalogue: _Catalogue,
    origins: np.ndarray,
    homes: np.ndarray,
    recent: np.ndarray,
    epochs: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the next item of m users who start from `origins` (m,) and avoid `recent` (m, REMEMBERED)."""
    items = catalogue.follow(origins, rng)
    follows = rng.random(len(items)) < FOLLOW_SHARE
    pending = np.flatnonzero(~follows | (recent == items[:, None]).any(axis=1))
    for _ in range(ATTEMPTS):
        onward = catalogue.move(catalogue.intents[origins[pending]], rng)
        home = homes[pending, rng.integers(HOMES, size=len(pending))]
        intents = np.where(rng.random(len(pending)) < HOME_SHARE, home, onward)
        items[pending] = catalogue.draw(epochs[pending], intents, rng)
        pending = pending[(recent[pending] == items[pending, None]).any(axis=1)]
    return items


def _cover(walked: np.ndarray, items: int, rng: np.random.Generator) -> np.ndarray:
    """Make every item occur: those that do not yet replace repeated occurrences of other items."""
    met, first_rows = np.unique(walked, return_index=True)
    is_spare = np.ones(len(walked), dtype=bool)
    is_spare[first_rows] = False
    unmet = np.setdiff1d(np.arange(items), met)
    covered = walked.copy()
    covered[rng.choice(np.flatnonzero(is_spare), size=len(unmet), replace=False)] = unmet
    return covered
