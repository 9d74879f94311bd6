"""The training step, on toy networks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import pytest
import torch
from torch import nn

from lipgan_cli.engine.config import Initialisation, Recipe, TrainConfig, Variant
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.batch import Batch
from lipgan_cli.engine.gan.checkpoint import Checkpoints, State, read_state, weights_file
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.critic import Critic
from lipgan_cli.engine.gan.expert import Expert
from lipgan_cli.engine.gan.generator import Generator
from lipgan_cli.engine.gan.initialisation import initialise
from lipgan_cli.engine.gan.penalties import Pair
from lipgan_cli.engine.gan.recipes import strategy

CPU = torch.device("cpu")


class ToyGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.face = nn.Conv2d(6, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.audio = nn.Linear(80 * 27, 3)

    def forward(self, faces, mel):
        sound = self.audio(mel.flatten(1))[..., None, None]
        return torch.sigmoid(self.norm(self.face(faces)) + sound)


class ToyCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.face, self.audio = nn.Conv2d(3, 4, 96), nn.Conv2d(1, 4, (80, 27))

    def forward(self, faces, mel):
        return self.face(faces).flatten(1), self.audio(mel).flatten(1)


def make(variant=Variant.LIPGAN, iterations=20, **settings):
    config = replace(TrainConfig(variant, "", "small", half_precision=False), **settings)
    torch.manual_seed(3)
    loss = strategy(config)
    expert = Expert(4).requires_grad_(False).eval() if loss.expert_weight else None
    return Core(loss, config, iterations, CPU, ToyGenerator(), ToyCritic(), expert)


SAMPLES = 10  # two windows of five frames


def batch(number):
    random = torch.Generator().manual_seed(number)

    def draw(*shape):
        return torch.rand(SAMPLES, *shape, generator=random)

    return Batch(draw(3, 96, 96), draw(3, 96, 96), draw(1, 80, 27), draw(1, 80, 27))


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("variant", Variant)
def test_a_step_moves_what_it_should_and_is_repeatable(variant):
    runs = []
    for _ in range(2):
        core = make(variant)
        before = {name: weights(network) for name, network in core.networks().items()}
        start = core.generator.face.weight.detach().clone()
        for i in range(core.loss.critic_steps):
            assert torch.equal(start, core.generator.face.weight)
            core.step(batch(i), i)
        for name, network in core.networks().items():
            assert not same(before[name], weights(network)), name
        runs.append({name: weights(network) for name, network in core.networks().items()})
    assert all(same(runs[0][name], runs[1][name]) for name in runs[0])


def test_l1_needs_no_critic():
    core = make(Variant.L1)
    assert list(core.networks()) == ["generator"]
    assert set(core.step(batch(0), 0)) == {
        "learning_rate",
        "generator_loss",
        "generator_l1",
        "l1",
        "psnr",
    }


def test_no_critic_gradient_reaches_the_generator_of_l1wgan_gp():
    schedule = {"critic_steps": 5, "learning_rate": 1e-4, "beta1": 0.5, "beta2": 0.9}
    core, control = make(Variant.L1WGAN_GP), make(Variant.L1, **schedule)
    for i in range(10):
        core.step(batch(i), i, watch=i % 2 == 0)
        control.step(batch(i), i)
    assert not same(weights(core.generator), weights(make(Variant.L1).generator))
    assert same(weights(core.generator), weights(control.generator))
    assert same(*(weights(c.averaged) for c in (core, control)))


@pytest.mark.parametrize("half", [False, True])
def test_nor_in_the_real_networks_under_the_recipe_of_the_thesis(half):
    schedule = {"critic_steps": 5, "learning_rate": 1e-4, "beta1": 0.5, "beta2": 0.9}
    common = {"width": 2, "half_precision": half, "norm_momentum": 0.8}
    cores = []
    for variant, recipe, own in (
        (Variant.L1WGAN_GP, Recipe.THESIS, {}),
        (Variant.L1, Recipe.DEFAULT, schedule),
    ):
        config = TrainConfig(variant, "", "small", recipe=recipe, **common, **own)
        core = Core(strategy(config), config, 20, CPU)
        for i in range(10):
            core.step(batch(i), i, watch=variant is Variant.L1WGAN_GP)
        cores.append(core)
    assert cores[0].critic is not None
    assert same(*(weights(core.generator) for core in cores))


def test_watching_changes_nothing_and_tells_both_kinds_of_fakes():
    seen, unseen = make(Variant.WGAN_GP), make(Variant.WGAN_GP)
    for i in range(5):
        figures = seen.step(batch(i), i, watch=True)
        plain = unseen.step(batch(i), i)
        assert {
            "critic_face",
            "critic_audio",
            "gradient_critic",
        } == figures.keys() - plain.keys() - {
            "gradient_generator",
            "ssim",
        }
        # the kind that moved the critic this time is one of the two
        kinds = [figures["critic_face"].item(), figures["critic_audio"].item()]
        assert min(abs(figures["critic_fake"].item() - kind) for kind in kinds) < 1e-6
        assert kinds[0] != kinds[1]
    assert {"gradient_generator", "ssim"} <= figures.keys()
    assert figures["gradient_generator"] > 0
    assert -1 <= figures["ssim"] <= 1
    for name, network in seen.networks().items():
        assert same(weights(network), weights(unseen.networks()[name])), name


@pytest.mark.parametrize("variant", [Variant.LIPGAN, Variant.WGAN_GP_L1])
def test_accumulated_parts_move_the_networks_as_the_whole_does(variant):
    """With batch norm frozen, and without the penalty's own random mixes."""
    settings = {"critic_steps": 1}
    if variant is Variant.WGAN_GP_L1:
        settings["penalty_weight"] = 0.0
    whole, parted = make(variant, **settings), make(variant, accumulate=2, **settings)
    for core in (whole, parted):
        core.generator.double().eval()
        core.average.generator.double()
        core.critic.double()
        core.pixel_weights = core.pixel_weights.double()
    doubled = Batch(*(getattr(batch(0), name).double() for name in vars(batch(0))))
    for i in range(3):
        whole.step(doubled, i)
        parted.step(doubled, i)
    for name, network in whole.networks().items():
        for one, other in zip(
            network.parameters(), parted.networks()[name].parameters(), strict=True
        ):
            assert torch.allclose(one, other, rtol=0, atol=1e-9)


def test_clipped_weights_stay_in_bounds():
    core = make(Variant.WGAN)
    core.step(batch(0), 0)
    assert max(p.abs().max().item() for p in core.critic.parameters()) == pytest.approx(0.01)


def test_a_critic_with_the_reference_sees_it():
    torch.manual_seed(0)
    config = TrainConfig(Variant.WGAN_GP, "", "small", width=2, critic_reference=True)
    core = Core(strategy(config), config, 10, CPU, ToyGenerator())
    one = batch(0)
    other = replace(one, reference=1 - one.reference)
    pair = Pair(one.target, one.mel)
    assert not torch.allclose(core._judge(one, pair), core._judge(other, pair))
    assert core.step(one, 0)["critic_penalty"] > 0


@pytest.mark.parametrize("shared", ["faces", "mel", "neither"])
def test_what_pairs_share_is_embedded_once_and_judged_as_if_alone(shared):
    core, one, other = make(), batch(0), batch(1)
    real, fake = Pair(one.target, one.mel), Pair(other.target, other.mel)
    if shared != "neither":
        fake = fake._replace(**{shared: getattr(real, shared)})
    embedded = []
    for module in (core.critic.face, core.critic.audio):
        module.register_forward_hook(lambda _m, inputs, _o: embedded.append(len(inputs[0])))
    judged = core._judge_all(one, [real, fake])
    assert embedded == [SAMPLES * (2 - (shared == side)) for side in ("faces", "mel")]
    for pair, scores in zip((real, fake), judged, strict=True):
        assert torch.allclose(scores, core._judge(one, pair), atol=1e-6)


@pytest.mark.parametrize("fake_face", [True, False])
@pytest.mark.parametrize("reference", [True, False])
def test_a_step_s_two_pairs_move_the_critic_as_two_judgements_would(fake_face, reference):
    config = TrainConfig(
        Variant.WGAN_GP, "", "small", width=2, critic_reference=reference, half_precision=False
    )
    core = Core(strategy(config), config, 10, CPU, ToyGenerator())
    core.critic.double()
    one = batch(0)
    one = Batch(*(getattr(one, f.name).double() for f in fields(Batch)))
    real = Pair(one.target, one.mel)
    fake = Pair(one.reference, one.mel) if fake_face else Pair(one.target, one.unsynced)
    gradients = []
    for judged in (
        core._judge_all(one, [real, fake]),
        [core._judge(one, real), core._judge(one, fake)],
    ):
        difference = (judged[0] ** 2 - 3 * judged[1]).sum()
        gradients.append(torch.autograd.grad(difference, list(core.critic.parameters())))
    for shared, apart in zip(*gradients, strict=True):
        assert torch.allclose(shared, apart, rtol=1e-9, atol=1e-12)


def test_a_critic_without_norm_has_no_norm():
    norms = [m for m in Critic(2, norm=False).modules() if isinstance(m, nn.InstanceNorm2d)]
    assert not norms
    faces = torch.rand(2, 3, 96, 96)
    assert Critic(2, norm=False)(faces, torch.rand(2, 1, 80, 27))[0].shape == (2, 32)


@pytest.mark.parametrize(
    ("how", "spread"),
    [
        (Initialisation.NORMAL, 0.02),
        (Initialisation.XAVIER, (2 / (64 * 9 + 128 * 9)) ** 0.5),
        (Initialisation.HE, (2 / (64 * 9)) ** 0.5),
    ],
)
def test_initialisations_have_their_spread(how, spread):
    torch.manual_seed(0)
    for layer in (nn.ConvTranspose2d(64, 128, 3), nn.Conv2d(64, 128, 3)):
        initialise(layer, how)
        assert layer.weight.std().item() == pytest.approx(spread, rel=0.02)
        assert layer.bias.eq(0).all()
    before = layer.weight.clone()
    initialise(layer, Initialisation.TORCH)
    assert torch.equal(layer.weight, before)


def test_the_momentum_of_batch_norm_is_the_run_s():
    config = TrainConfig(Variant.L1, "", "small", width=2, norm_momentum=0.8)
    core = Core(strategy(config), config, 10, CPU)
    assert isinstance(core.generator, Generator)
    momenta = {m.momentum for m in core.generator.modules() if isinstance(m, nn.BatchNorm2d)}
    assert momenta == {0.8}


def test_the_critic_s_gradient_reaches_the_generator_of_lipgan():
    plain, lipgan = make(Variant.L1), make(Variant.LIPGAN)
    for i in range(2):
        plain.step(batch(i), i)
        lipgan.step(batch(i), i)
    assert not torch.equal(plain.generator.face.weight, lipgan.generator.face.weight)


def test_a_repeated_step_lowers_the_loss():
    core = make(Variant.L1, iterations=60, decay=0.0, learning_rate=0.001)
    losses = [core.step(batch(0), i)["l1"].item() for i in range(60)]
    assert losses[-1] < 0.95 * losses[0]


def test_the_mouth_weight_counts_in_the_mouth_alone():
    one, four = make(mouth_weight=1.0), make(mouth_weight=4.0)
    assert one.pixel_weights.eq(1).all()
    assert four.pixel_weights.mean().item() == pytest.approx(1)
    assert (four.pixel_weights[60, 48] / four.pixel_weights[10, 48]).item() == pytest.approx(4)
    assert four.pixel_weights[54, 24] > four.pixel_weights[53, 24]
    assert four.pixel_weights[89, 71] > four.pixel_weights[90, 71]


def test_the_learning_rate_falls_at_the_end():
    core = make(Variant.L1, iterations=10, decay=0.5, learning_rate=1.0)
    rates = []
    for i in range(10):
        told = core._set_learning_rate(i)["learning_rate"].item()
        rates.append(core.optimizers["generator"].param_groups[0]["lr"])
        assert told == pytest.approx(rates[-1])
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_the_learning_rate_rises_at_the_beginning():
    core = make(Variant.L1, iterations=10, decay=0.2, warmup=4, learning_rate=1.0)
    rates = [core._set_learning_rate(i)["learning_rate"].item() for i in range(10)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 0.5])


def test_the_average_follows_the_generator():
    core = make(Variant.L1, ema=0.05)
    start = core.generator.face.weight.detach().clone()
    core.step(batch(0), 0)
    first = core.generator.face.weight.detach().clone()
    core.step(batch(1), 1)
    second = core.generator.face.weight.detach().clone()
    assert not torch.equal(start, first)
    assert torch.allclose(core.averaged.face.weight, 0.05 * first + 0.95 * second, atol=1e-7)


# checkpoints


@dataclass
class Progressed:
    core: Core
    checkpoints: Checkpoints


def run(folder, variant, first, last):
    core = make(variant)
    checkpoints = Checkpoints(folder)
    state = checkpoints.restore(core)
    assert (state.iteration if state else 0) == first
    for i in range(first, last):
        core.step(batch(i), i)
    checkpoints.save(core, State(last, float(last), {}))
    return core


@pytest.mark.parametrize("variant", Variant)
def test_resume_equals_not_stopping(tmp_path, variant):
    whole = run(tmp_path / "a", variant, 0, 12)
    run(tmp_path / "b", variant, 0, 7)
    resumed = run(tmp_path / "b", variant, 7, 12)
    for name, network in whole.networks().items():
        assert same(weights(network), weights(resumed.networks()[name])), name
    assert same(weights(whole.averaged), weights(resumed.averaged))


def test_the_last_two_and_the_best_stay_whole(tmp_path):
    core = make()
    checkpoints = Checkpoints(tmp_path)
    for iteration, score in enumerate([1.0, 9.0, 2.0, 3.0, 4.0], 1):
        checkpoints.save(core, State(iteration, score, {"psnr": score}))
    whole = [p.name for p in checkpoints.all() if (p / "training.safetensors").exists()]
    assert whole == ["00000002", "00000004", "00000005"]
    assert all(weights_file(p).exists() for p in checkpoints.all())
    assert len(checkpoints.all()) == 5
    assert checkpoints.best().name == "00000002"
    assert read_state(checkpoints.best()) == State(2, 9.0, {"psnr": 9.0})


def test_checkpoints_that_were_not_measured_go(tmp_path):
    core, checkpoints = make(), Checkpoints(tmp_path)
    checkpoints.save(core, State(1))
    checkpoints.describe(State(1, 5.0, {"psnr": 5.0}))
    for iteration in (2, 3, 4):
        checkpoints.save(core, State(iteration))
    assert [p.name for p in checkpoints.all()] == ["00000001", "00000003", "00000004"]
    assert checkpoints.best().name == "00000001"
    assert checkpoints.restore(make()).iteration == 4


def test_a_checkpoint_cut_short_is_not_taken_for_one(tmp_path, monkeypatch):
    core, checkpoints = make(), Checkpoints(tmp_path)
    checkpoints.save(core, State(1, 1.0, {}))

    def fail(*args):
        raise OSError(28, "No space left on device", str(args[1]))

    monkeypatch.setattr("lipgan_cli.engine.gan.packing.save_file", fail)
    with pytest.raises(Exception, match="No space left"):
        checkpoints.save(core, State(2, 2.0, {}))
    assert [p.name for p in tmp_path.iterdir()] == ["00000001"]
    assert checkpoints.restore(make()).iteration == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Variant.L1, Variant.LIPGAN),
        (Variant.LIPGAN, Variant.L1),
        (Variant.WGAN_GP, Variant.LIPGAN),
    ],
)
def test_another_variant_s_checkpoint_is_refused(tmp_path, one, other):
    run(tmp_path, one, 0, 1)
    with pytest.raises(InputError, match=f"does not fit this run: it is of the variant {one}"):
        Checkpoints(tmp_path).restore(make(other))


def test_a_checkpoint_of_other_sizes_is_refused(tmp_path):
    configs = [TrainConfig(Variant.LIPGAN, "", "small", width=width) for width in (2, 3)]
    small, large = (Core(strategy(config), config, 10, CPU) for config in configs)
    Checkpoints(tmp_path).save(small, State(1))
    with pytest.raises(InputError, match="does not fit this run"):
        Checkpoints(tmp_path).restore(large)


def test_a_damaged_checkpoint_is_named(tmp_path):
    run(tmp_path, Variant.L1, 0, 1)
    path = tmp_path / "00000001" / "training.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"training\.safetensors is damaged"):
        Checkpoints(tmp_path).restore(make(Variant.L1))
