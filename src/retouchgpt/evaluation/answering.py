"""Answers judged: understood as meant, true to what was measured, and right about what was painted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from retouchgpt.core.plan import Edit, EditPlan
from retouchgpt.core.vocabulary import IMPERFECTIONS
from retouchgpt.data.dialogues import dialogue
from retouchgpt.language.checking import check
from retouchgpt.language.prompt import PROMPT_TOKENS, opening
from retouchgpt.session.engine import RetouchGPT
from retouchgpt.session.face import Repair, repair, select
from retouchgpt.session.session import facts_of
from retouchgpt.training.language import IGNORED, sequence

from .cases import Case
from .language import essence
from .methods import OURS, UNTOUCHED, Ours, request
from .tally import Tally

SEED = 778
"""Of dialogues that no training run has seen."""


def judge_answers(tally: Tally, engine: RetouchGPT, ours: Ours, own: Sequence[Case], absent: int) -> None:
    """One face's requests for what was painted, and `absent` for what was not."""
    face = own[0].face
    for case in own:
        _judge(tally, engine, ours, case, case.plan, present=True)
    painted = {m.kind for m in face.painted.marks}
    missing = [k for k in IMPERFECTIONS if k not in painted]
    rng = np.random.default_rng((SEED, len(face.painted.marks)))
    for kind in rng.permutation(missing)[:absent]:
        _judge(tally, engine, ours, own[0], EditPlan("retouch", (Edit(str(kind)),)), present=False)


def _judge(tally: Tally, engine: RetouchGPT, ours: Ours, case: Case, plan: EditPlan, *, present: bool) -> None:
    text = request(plan)
    seen = ours.seen(case)
    fixed: Repair | None = repair(ours.network, seen, select(ours.network, seen, plan, None), engine.dialogue(text))
    facts = facts_of(seen, fixed, plan)
    answer = engine.answer(facts, text)
    face, key = case.face.face_id, [("answer", OURS)]
    tally.add(face, key, "understood", float(essence(engine.understand(text)) == essence(plan)))
    tally.add(face, key, "truthful", float(not check(answer, facts)))
    done = any(o.done for o in facts.edited)
    side = "present" if present else "absent"
    tally.add(face, key, side, float(done == present))
    tally.add(face, [("answer", UNTOUCHED)], side, float(not present))


@torch.inference_mode()
def judge_tokens(tally: Tally, engine: RetouchGPT, count: int) -> None:
    """The paper's measure: the share of the reference answer's tokens that the LLM ranks first, each told those before.

    On generated dialogues with nothing in the image's and prompts' places, as the LLM was trained.
    """
    llm, tokenizer = engine.network.embedding.llm, engine.tokenizer
    if llm is None or tokenizer is None:
        return
    embed = llm.get_input_embeddings()  # type: ignore[operator]
    before, after = (embed(torch.tensor(part))[None] for part in opening(tokenizer))
    blank = before.new_zeros(1, 1 + PROMPT_TOKENS, before.shape[2])
    for index in range(count):
        ids, labels = (torch.tensor(row) for row in sequence(tokenizer, dialogue(SEED, index)))
        embedded = torch.cat([before, blank[:, :1], after, blank[:, 1:], embed(ids)[None]], 1)
        hidden = llm.model(inputs_embeds=embedded, use_cache=False).last_hidden_state  # type: ignore[operator, union-attr]
        wanted = labels[1:] != IGNORED
        guessed = llm.lm_head(hidden[0, -len(ids) : -1][wanted]).argmax(-1)  # type: ignore[operator]
        right = float((guessed == labels[1:][wanted]).sum())
        tally.add(f"dialogue {index}", [("tokens", OURS)], "tokens", right, float(wanted.sum()))
