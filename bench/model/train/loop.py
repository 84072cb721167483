"""A run of training: arguments, learning rate, averaged weights, checkpoints, log. The same command again resumes."""
import argparse
import contextlib
import json
import math
import os
import pathlib
import time

import torch


def arguments(doc):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True, help="folder for last.pt and log.jsonl")
    p.add_argument("--lr", type=float)
    p.add_argument("--final-lr", type=float, help="fraction of --lr at the end of the cosine")
    p.add_argument("--ema", type=float, default=0.998, help="share of the averaged weights that a step keeps")
    p.add_argument("--seed", type=int)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--save-every", type=float, help="seconds between checkpoints")
    return p


class Run:
    """state: the checkpoint to resume from, already loaded into model and optimizer; None at the start."""

    def __init__(self, args, model, opt):
        self.args, self.model, self.opt = args, model, opt
        self.base = [g["lr"] for g in opt.param_groups]
        self.out = pathlib.Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.last = self.out / "last.pt"
        self.state = torch.load(self.last, weights_only=False) if self.last.exists() else None
        self.step, self.spent = 0, 0.0
        if self.state:
            model.load_state_dict(self.state["model"])
            opt.load_state_dict(self.state["opt"])
            self.step, self.spent = self.state["step"], self.state["spent"]
        self.terms, self.first = {}, None

    def begin(self):
        """Call it when the weights are what training starts from."""
        self.ema = self.state["ema"] if self.state else {k: v.clone() for k, v in self.model.state_dict().items()}
        self.cpu, self.wall = time.process_time(), time.time()
        self.saved = self.wall
        self.log = open(self.out / "log.jsonl", "a")

    def seconds(self):
        """CPU seconds of this run, those before it was cut off included."""
        return self.spent + time.process_time() - self.cpu

    def schedule(self, share):
        """Sets the learning rate: a warm-up of 100 steps, then a cosine. share: how much of the run is done, 0..1."""
        self.share = share
        self.first = share if self.first is None else self.first
        a = self.args
        lr = min(1, (self.step + 1) / 100) * (a.final_lr + (1 - a.final_lr) * 0.5 * (1 + math.cos(math.pi * share)))
        for g, base in zip(self.opt.param_groups, self.base):
            g["lr"] = base * lr

    def advance(self, terms):
        """After a step of the optimizer. terms: name -> number; the log has their means."""
        self.step += 1
        decay = min(self.args.ema, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for k, now in self.model.state_dict().items():
                self.ema[k].lerp_(now, 1 - decay)
        for k, value in terms.items():
            self.terms.setdefault(k, []).append(float(value))

    @contextlib.contextmanager
    def averaged(self):
        """The model with the averaged weights."""
        now = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.ema)
        yield self.model
        self.model.load_state_dict(now)

    def report(self, **more):
        means = {k: round(sum(t) / len(t), 4) for k, t in self.terms.items()}
        line = json.dumps({"step": self.step, "cpu_min": round(self.seconds() / 60, 2), **means, **more})
        left = (1 - self.share) * (time.time() - self.wall) / max(1e-9, self.share - self.first)
        print(f"{100 * self.share:5.1f} % ETA {left / 60:.1f} min", line, flush=True)
        print(line, file=self.log, flush=True)
        self.terms = {}

    def save(self, **more):
        tmp = self.out / "last.tmp"
        torch.save({"model": self.model.state_dict(), "ema": self.ema, "opt": self.opt.state_dict(), "step": self.step,
                    "spent": self.seconds(), "args": vars(self.args), **more}, tmp)
        os.replace(tmp, self.last)
        self.saved = time.time()

    def save_is_due(self):
        return time.time() - self.saved > self.args.save_every
