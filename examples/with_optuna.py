"""An Optuna study that scores each network before training it, and skips the lower half."""

import optuna
import torch
from torch import nn

import zerocost as zc
from zerocost.integrations.optuna import ScoreFilter, objective

optuna.logging.set_verbosity(optuna.logging.ERROR)
train, validation = zc.data.split(zc.data.load("digits:8"), 0.3)
batch = zc.data.draw(train, 32)


def build(trial: optuna.Trial) -> nn.Module:
    """A convolutional network with the choices of a trial."""
    width, channels, layers = trial.suggest_int("width", 4, 24), 3, []
    for _ in range(trial.suggest_int("depth", 1, 3)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10))


def accuracy(model: nn.Module, epochs: int = 2) -> float:
    """Train the network and return its accuracy on the validation data."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(epochs):
        for images, labels in torch.utils.data.DataLoader(train, 64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    hits = [model(images).argmax(1) == labels for images, labels in torch.utils.data.DataLoader(validation, 256)]
    return torch.cat(hits).float().mean().item()


scored = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
scored.optimize(objective(build, batch, "log_synflow"), n_trials=20)
print("best untrained:", scored.best_params)

worth_training = ScoreFilter(batch, "jacob_cov,log_synflow", fraction=0.5, warmup=5)


def trained(trial: optuna.Trial) -> float:
    """The usual objective, with one more line."""
    torch.manual_seed(0)
    model = build(trial)
    worth_training(trial, model)
    return accuracy(model)


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
study.optimize(trained, n_trials=16)
states = [trial.state.name for trial in study.trials]
print(f"{states.count('COMPLETE')} trained, {states.count('PRUNED')} skipped; best accuracy {study.best_value:.1%}")
