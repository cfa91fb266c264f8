"""Evaluate a representation on downstream tasks with a linear probe and with fine-tuning (after Green et al., 2025).

A task is to predict a class of each test user, given the labels of some training users. Test users are never trained
on. Predicting the next item is a task, too: it is measured by NDCG@10 among the items that the user has not seen, all
other tasks by accuracy. Baselines without a representation are the most frequent class and a bag of the user's items.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from baselines.deferred import F
from baselines.encoder import Encoder
from baselines.kernels import linear_cross_entropy
from baselines.method import Terms, TrainedMethod
from baselines.registry import METHODS
from baselines.training_data import TrainBatch, TrainingData
from benchmark.plan.run_spec import RunSpec
from benchmark.runs.evaluation import cells_of, ranks_of
from benchmark.runs.metrics import ndcg
from benchmark.runs.probes import embeddings
from benchmark.runs.training import train
from datasets.sequences import Sequences
from datasets.user_labels import UserLabels

SHARES = (1, 10, 100)  # percent of the training users with labels
VALIDATION_SHARE = 0.1  # of the training users, for choosing the probe's C; their labels are never trained on
STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # values of C, the probe's inverse regularisation strength
PROBE_STEPS = 100
FINE_TUNING_EPOCHS = 20
NEXT_ITEM = "next-item"
STREAM = 20251026  # makes the draw of labelled users independent of other draws with the same seed


@dataclass(frozen=True, eq=False)
class Task:
    """A classification task. `classes` (n,): each user's class. `seen`: the users' items if the classes are items."""

    name: str
    classes: np.ndarray
    n_classes: int
    seen: Sequences | None = None

    def quality(self, scores: np.ndarray, users: np.ndarray) -> float:
        """Evaluate the scores (m, n_classes) of these users (m,). A class that cannot be predicted has score -inf."""
        wanted = self.classes[users]
        if self.seen is None:
            return float((scores.argmax(1) == wanted).mean())
        masked = torch.from_numpy(scores).clone()
        masked.view(-1)[cells_of(self.seen.select(torch.from_numpy(users)), self.n_classes)] = -torch.inf
        return ndcg(ranks_of(masked, torch.from_numpy(wanted)).numpy(), 10)


@dataclass(frozen=True, eq=False)
class Users:
    """Indices of users in `UserLabels`. `labelled`: by share; each share contains the smaller ones."""

    labelled: dict[int, np.ndarray]
    validation: np.ndarray
    test: np.ndarray

    @classmethod
    def draw(cls, known: UserLabels, seed: int) -> Users:
        """Draw users. This depends only on the seed, so that all methods get the same labels."""
        usable = np.flatnonzero(known.known.host_lengths[: known.n_train] >= 2)
        order = np.random.default_rng([STREAM, seed]).permutation(usable)
        validation, pool = np.split(order, [math.ceil(VALIDATION_SHARE * len(order))])
        labelled = {share: pool[: max(2, round(share / 100 * len(pool)))] for share in SHARES}
        return cls(labelled, validation, np.arange(known.n_train, len(known.known)))


def tasks_of(known: UserLabels, n_items: int) -> list[Task]:
    next_items = known.known.final_items().numpy()
    others = [Task(name, classes, int(classes.max()) + 1) for name, classes in known.labels.items()]
    return [Task(NEXT_ITEM, next_items, n_items, known.known.without_last(1)), *others]


def downstream_metrics(
    spec: RunSpec,
    known: UserLabels,
    n_items: int,
    encoder: Encoder | None,
    device: torch.device,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Compute the metrics `task/way/share` on the test users.

    `way` is `probe` or `tuned` if there is an encoder, otherwise `majority` class or `bag` of items.
    """
    users, histories = Users.draw(known, spec.seed), known.known.without_last(1)

    def tuned(task: Task, labelled: np.ndarray) -> float:
        """Fine-tune for a fixed number of epochs, without early stopping."""
        data = TrainingData(known.known.select(torch.from_numpy(labelled)), n_items, spec.encoder.maxlen).to(device)
        labels = torch.from_numpy(task.classes[labelled]).to(device)
        method = FineTuned(METHODS[spec.method].method(spec.settings), start, task, labels)
        trained = train(method, data, FINE_TUNING_EPOCHS, spec.encoder, spec.training, spec.seed)
        of_test = histories.select(torch.from_numpy(users.test)).to(device)
        z = embeddings(trained.encoder, of_test, spec.encoder.maxlen).to(device)
        with torch.inference_mode():
            return task.quality(method.scores(trained.encoder, z).cpu().numpy(), users.test)

    ways: dict[str, Callable[[Task, np.ndarray], float]]
    if encoder is None:
        rows, items = (indices.numpy() for indices in histories.flatten())
        bag = sparse.csr_matrix((np.ones(len(rows)), (rows, items)), (len(histories), n_items))
        nothing = np.zeros((len(histories), 1))
        ways = {
            "majority": lambda task, labelled: probe(nothing, task, users, labelled),
            "bag": lambda task, labelled: probe(bag, task, users, labelled),
        }
    else:
        z = embeddings(encoder, histories.to(device), spec.encoder.maxlen).numpy()
        start = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
        ways = {"probe": lambda task, labelled: probe(z, task, users, labelled), "tuned": tuned}
    found: dict[str, float] = {}
    for task in tasks_of(known, n_items):
        for way, quality in ways.items():
            if way == "bag" and task.seen is not None:
                continue  # V classes of V features each would take hours
            for share, labelled in users.labelled.items():
                say(f"{task.name}: {way} with {share} % of the labels")
                found[f"{task.name}/{way}/{share}"] = quality(task, labelled)
    return found


# --- the linear probe -----------------------------------------------------------------------------------------------


def probe(features: Any, task: Task, users: Users, labelled: np.ndarray) -> float:
    """Fit a logistic regression on features (n, F), dense or sparse, and evaluate it on the test users.

    C is chosen on the validation users.
    """
    from sklearn.linear_model import LogisticRegression  # optional; its import takes a second

    classes = task.classes[labelled]
    if not sparse.issparse(features):
        features = (features - features[labelled].mean(0)) / (features[labelled].std(0) + 1e-8)

    def fitted(strength: float) -> Callable[[np.ndarray], np.ndarray]:
        model = LogisticRegression(C=strength, max_iter=PROBE_STEPS)
        with warnings.catch_warnings():  # about too few steps and about many classes
            warnings.simplefilter("ignore")
            model.fit(features[labelled], classes)
        smallest = np.finfo(float).tiny  # so that the logarithm is finite
        return lambda rows: _all_classes(
            np.log(np.maximum(model.predict_proba(features[rows]), smallest)), model.classes_, task
        )

    if len(np.unique(classes)) == 1:  # scikit-learn needs two classes
        constant = _all_classes(np.zeros((1, 1)), classes[:1], task)
        return task.quality(np.repeat(constant, len(users.test), 0), users.test)
    models = [fitted(strength) for strength in (STRENGTHS if features.shape[1] > 1 else STRENGTHS[:1])]
    best = max(models, key=lambda score: task.quality(score(users.validation), users.validation))
    return task.quality(best(users.test), users.test)


def _all_classes(scores: np.ndarray, classes: np.ndarray, task: Task) -> np.ndarray:
    """Extend the scores of some `classes` to (m, n_classes), with -inf for the others."""
    extended = np.full((len(scores), task.n_classes), -np.inf)
    extended[:, classes] = scores
    return extended


# --- fine-tuning ----------------------------------------------------------------------------------------------------


class FineTuned(TrainedMethod):
    """Trains a pretrained encoder further on a task, with a linear layer, or with the item table to predict items."""

    version = 1

    def __init__(self, pretrained: TrainedMethod, weights: dict[str, Tensor], task: Task, labels: Tensor) -> None:
        super().__init__(pretrained.settings)
        self.pretrained, self.weights, self.task, self.labels = pretrained, weights, task, labels

    def build_encoder(self, *sizes: Any) -> Encoder:
        encoder = self.pretrained.build_encoder(*sizes)
        encoder.load_state_dict(self.weights)
        return encoder

    def build(self, width: int) -> nn.Module:
        self.head = nn.Linear(width, self.task.n_classes) if self.task.seen is None else nn.Module()
        return self.head

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        z, labels = encoder.last(batch.inputs), self.labels[batch.rows]
        if self.task.seen is not None:
            return {"task": linear_cross_entropy(z, encoder.item_table, labels)}
        return {"task": F.cross_entropy(self.head(z), labels)}

    def scores(self, encoder: Encoder, z: Tensor) -> Tensor:
        return self.head(z) if self.task.seen is None else z @ encoder.item_table.T
