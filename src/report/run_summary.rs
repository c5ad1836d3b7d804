//! The summary of a run in sentences, for readers who do not know the theory.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Run;
use crate::phase::{Annotation, Phase};
use crate::record::Record;
use crate::run::{RunState, Transition};

/// A sentence in parts, so that the page can highlight names and phases.
pub(super) type Sentence = Vec<Part>;

/// A part of a sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Part {
    text: String,
    /// The letter of a phase, `layer` for a layer's name, or empty.
    mark: String,
}

fn text(text: impl Into<String>) -> Part {
    Part {
        text: text.into(),
        mark: String::new(),
    }
}

fn name(layer: &str) -> Part {
    Part {
        text: layer.to_owned(),
        mark: "layer".to_owned(),
    }
}

fn title(phase: Phase) -> Part {
    Part {
        text: phase.title().to_owned(),
        mark: phase.letter().to_string(),
    }
}

/// Letter, title and explanation of each phase.
pub(super) fn glossary() -> [(char, &'static str, &'static str); 6] {
    let means = |phase| match phase {
        Phase::RandomLike => {
            "The spectrum is the Marchenko–Pastur law that pure noise has, as in fresh weights. The layer has learnt nothing \
             that its singular values would show."
        }
        Phase::BleedingOut => {
            "Noise, but for eigenvalues just beyond its edge: the first directions begin to carry something learnt."
        }
        Phase::BulkPlusSpikes => {
            "A random bulk, and a few eigenvalues well outside of it: a few directions carry what was learnt, the \
             rest is still noise."
        }
        Phase::BulkDecay => {
            "The edge of the bulk dissolves into a shoulder: correlations of many sizes, no longer a few separate ones."
        }
        Phase::HeavyTailed => {
            "No edge is left, a power law describes the spectrum better than noise does: correlations at every scale, \
             as in well-trained large networks."
        }
        Phase::RankCollapse => {
            "Many directions carry nothing: the layer uses a fraction of its dimensions, often after too much \
             regularisation."
        }
    };
    Phase::ALL.map(|p| (p.letter(), p.title(), means(p)))
}

/// The phase as a clause.
fn phase_clause(phase: Phase) -> &'static str {
    match phase {
        Phase::RandomLike => "its weights cannot be told from noise",
        Phase::BleedingOut => "the first directions rise just above the noise",
        Phase::BulkPlusSpikes => {
            "a few directions stand clear of the noise, and the rest is still random"
        }
        Phase::BulkDecay => "the border between signal and noise has dissolved",
        Phase::HeavyTailed => "it is correlated at every scale, and no random part stands apart",
        Phase::RankCollapse => "many of its directions carry nothing",
    }
}

/// The records and transitions of a layer.
struct LayerHistory<'a> {
    layer: &'a str,
    records: Vec<&'a Record>,
    transitions: Vec<Transition>,
}

impl LayerHistory<'_> {
    fn reliable_records(&self) -> impl Iterator<Item = (&Record, Phase)> {
        let sure = self.records.iter().filter(|r| r.is_determinate());
        sure.filter_map(|r| Some((*r, r.phase()?)))
    }

    /// The current phase: the last confirmed one, or the first reliable one.
    fn phase(&self) -> Option<Phase> {
        let first = self.reliable_records().next().map(|j| j.1);
        self.transitions.last().map(|t| t.to).or(first)
    }

    fn last_is_sure(&self) -> bool {
        self.records.last().is_some_and(|r| r.is_determinate())
    }

    fn path(&self) -> Vec<Phase> {
        let first = self.transitions.first().map(|t| t.from);
        let rest = self.transitions.iter().map(|t| t.to);
        first.into_iter().chain(rest).collect()
    }
}

fn confidence(record: &Record) -> Option<f64> {
    record.values()?.phase_confidence
}

/// A probability with two decimals. It is never 1.00.
pub(super) fn probability(p: f64) -> String {
    if p > 0.99 {
        "above 0.99".to_owned()
    } else {
        format!("{p:.2}")
    }
}

fn count(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// The names of the layers, abbreviated after the first few.
fn names(stories: &[&LayerHistory<'_>]) -> Sentence {
    const SHOWN: usize = 4;
    let shown = if stories.len() == SHOWN + 1 {
        SHOWN + 1
    } else {
        SHOWN
    };
    let mut parts = Vec::new();
    for (i, story) in stories.iter().take(shown).enumerate() {
        let last = i + 1 == stories.len();
        if i > 0 {
            parts.push(text(if last { " and " } else { ", " }));
        }
        parts.push(name(story.layer));
    }
    if stories.len() > shown {
        parts.push(text(format!(" and {} more", stories.len() - shown)));
    }
    parts
}

fn has(n: usize) -> &'static str {
    if n == 1 { "has" } else { "have" }
}

/// The final phases of the layers that changed, in one line.
pub(super) fn headline(run: &Run) -> Sentence {
    const SHOWN: usize = 4;
    let ends: Vec<Transition> = run
        .trajectory
        .layers()
        .iter()
        .filter_map(|layer| run.trajectory.transitions(layer).pop())
        .collect();
    let mut parts = Vec::new();
    for end in ends.iter().take(SHOWN) {
        if !parts.is_empty() {
            parts.push(text(", "));
        }
        parts.extend([name(&end.layer), text(" is "), title(end.to)]);
    }
    match ends.len() {
        0 => parts.push(text("no layer changed its phase")),
        all if all > SHOWN => parts.push(text(format!(" and {} more layers changed", all - SHOWN))),
        _ => {}
    }
    parts
}

/// The summary of a run.
pub(super) fn summary(run: &Run) -> Vec<Sentence> {
    let trajectory = &run.trajectory;
    let mut records: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in trajectory.records() {
        records.entry(&record.layer).or_default().push(record);
    }
    let stories: Vec<LayerHistory<'_>> = trajectory
        .layers()
        .iter()
        .map(|layer| LayerHistory {
            layer,
            records: records.remove(layer.as_str()).unwrap_or_default(),
            transitions: trajectory.transitions(layer),
        })
        .filter(|s| !s.records.is_empty())
        .collect();
    if stories.is_empty() {
        return vec![vec![text("Nothing has been observed yet.")]];
    }
    let moved: Vec<&LayerHistory<'_>> = stories
        .iter()
        .filter(|s| !s.transitions.is_empty())
        .collect();
    let mut sentences = vec![first_sentence(run, &stories, moved.len())];
    // Above this number, layers with the same sequence of phases share a sentence.
    const ONE_BY_ONE: usize = 5;
    if moved.len() <= ONE_BY_ONE {
        sentences.extend(moved.iter().map(|s| layer_sentence(s)));
    } else {
        let mut ways: Vec<(Vec<Phase>, Vec<&LayerHistory<'_>>)> = Vec::new();
        for story in &moved {
            let path = story.path();
            match ways.iter_mut().find(|w| w.0 == path) {
                Some(way) => way.1.push(story),
                None => ways.push((path, vec![story])),
            }
        }
        ways.sort_by_key(|w| std::cmp::Reverse(w.1.len()));
        const WAYS: usize = 6;
        let others: usize = ways.iter().skip(WAYS).map(|w| w.1.len()).sum();
        for (path, stories) in ways.iter().take(WAYS) {
            sentences.push(match stories.as_slice() {
                [one] => layer_sentence(one),
                many => way(path, many),
            });
        }
        if others > 0 {
            let others = count(others, "other layer");
            sentences.push(vec![text(format!(
                "{others} went ways of their own; the timeline has them."
            ))]);
        }
    }
    sentences.extend(unchanged(&stories));
    sentences.extend(training(run));
    sentences
}

fn first_sentence(run: &Run, stories: &[LayerHistory<'_>], moved: usize) -> Sentence {
    let stamps = run.trajectory.records().iter().map(|r| r.stamp);
    let epochs = stamps.clone().map(|s| s.epoch).max().unwrap_or(0);
    let observations = stories.iter().map(|s| s.records.len()).max().unwrap_or(0);
    let so_far = match run.state {
        RunState::Ended => "",
        RunState::Died => " until the process was killed",
        RunState::Empty | RunState::Running => " so far",
    };
    let what = match (moved, stories.len()) {
        (0, 1) => "the layer has not changed its phase".to_owned(),
        (0, all) => format!("none of the {all} layers has changed its phase"),
        (1, 1) => "the layer changed its phase".to_owned(),
        (k, all) if k == all => format!("all {all} layers changed their phase"),
        (k, all) => format!(
            "{k} of {all} layers changed {} phase",
            if k == 1 { "its" } else { "their" }
        ),
    };
    let stayed = match moved {
        0 => "",
        _ => " and stayed in the new one for at least two reliable verdicts in a row",
    };
    vec![text(format!(
        "In {} ({}){so_far}, {what}{stayed}.",
        count(epochs, "epoch"),
        count(observations, "observation"),
    ))]
}

/// The phase changes of one layer, with epochs and confidence.
fn layer_sentence(story: &LayerHistory<'_>) -> Sentence {
    let mut parts = vec![name(story.layer)];
    let last = story.transitions.len() - 1;
    for (i, change) in story.transitions.iter().enumerate() {
        if i == 0 {
            parts.extend([text(" left "), title(change.from), text(" for ")]);
        } else {
            parts.push(text(if i == last {
                " and moved on to "
            } else {
                ", moved on to "
            }));
        }
        parts.push(title(change.to));
        parts.push(text(format!(" at epoch {}", change.epoch)));
        let first = story
            .reliable_records()
            .find(|(r, phase)| r.stamp.epoch == change.epoch && *phase == change.to);
        if let Some(p) = first.and_then(|(r, _)| confidence(r)) {
            parts.push(text(format!(" (confidence {})", probability(p))));
        }
    }
    let change = &story.transitions[last];
    let since: Vec<(&Record, Phase)> = story
        .reliable_records()
        .filter(|(r, _)| r.stamp.epoch >= change.epoch)
        .collect();
    let agree = since.iter().filter(|j| j.1 == change.to).count();
    parts.push(text(format!(
        ", which held for {agree} of {} since",
        count(since.len(), "reliable verdict")
    )));
    match story.records.last() {
        Some(r) if story.last_is_sure() && r.phase() == Some(change.to) => {
            if let Some(p) = confidence(r) {
                parts.push(text(format!(
                    ", the last with confidence {}",
                    probability(p)
                )));
            }
        }
        Some(r) if story.last_is_sure() => {
            parts.push(text("; the last observation looks like "));
            parts.extend(r.phase().map(title));
            parts.push(text(", not confirmed by a second one yet"));
        }
        _ => parts.push(text("; the last verdict is uncertain")),
    }
    parts.push(text(format!(": {}.", phase_clause(change.to))));
    parts
}

/// The phase changes of several layers with the same sequence of phases.
fn way(path: &[Phase], stories: &[&LayerHistory<'_>]) -> Sentence {
    let mut parts = vec![text(format!("{} layers (", stories.len()))];
    parts.extend(names(stories));
    parts.push(text(") went from "));
    for (i, &phase) in path.iter().enumerate() {
        if i > 0 {
            parts.push(text(" to "));
        }
        parts.push(title(phase));
    }
    let ends: Vec<usize> = stories
        .iter()
        .filter_map(|s| s.transitions.last())
        .map(|t| t.epoch)
        .collect();
    let (first, last) = (ends.iter().min(), ends.iter().max());
    if let (Some(first), Some(last)) = (first, last) {
        let arrived = if first == last {
            format!(", where they arrived at epoch {first}")
        } else {
            format!(", where the first arrived at epoch {first} and the last at epoch {last}")
        };
        parts.push(text(arrived));
    }
    if let Some(&end) = path.last() {
        let clause = match end {
            Phase::RandomLike => "their weights cannot be told from noise",
            Phase::HeavyTailed => {
                "they are correlated at every scale, and no random part stands apart"
            }
            Phase::RankCollapse => "many of their directions carry nothing",
            other => phase_clause(other),
        };
        parts.push(text(format!(": {clause}.")));
    }
    parts
}

/// The layers without a transition: those that kept their phase, those whose phase is uncertain,
/// and those without a phase.
fn unchanged(stories: &[LayerHistory<'_>]) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let still = || stories.iter().filter(|s| s.transitions.is_empty());
    for phase in Phase::ALL {
        let stayed: Vec<&LayerHistory<'_>> = still()
            .filter(|s| s.phase() == Some(phase) && s.last_is_sure())
            .collect();
        if stayed.is_empty() {
            continue;
        }
        let mut parts = names(&stayed);
        let (pending, settled): (Vec<&LayerHistory<'_>>, Vec<&LayerHistory<'_>>) = stayed
            .iter()
            .partition(|s| s.reliable_records().last().is_some_and(|j| j.1 != phase));
        parts.push(text(format!(" {} stayed ", has(stayed.len()))));
        parts.push(title(phase));
        if !pending.is_empty() && settled.is_empty() {
            parts.push(text(
                ", but for the last observation, which a second one has not confirmed yet",
            ));
        }
        parts.push(text("."));
        sentences.push(parts);
    }
    let unsure: Vec<&LayerHistory<'_>> = still()
        .filter(|s| !s.last_is_sure() && s.records.iter().any(|r| r.phase().is_some()))
        .collect();
    if !unsure.is_empty() {
        let mut parts = text_first("Of ", names(&unsure));
        let small = unsure.iter().all(|s| {
            let last = s.records.last().and_then(|r| r.values());
            last.is_some_and(|v| v.annotations.contains(&Annotation::SmallLayer))
        });
        let why = if small {
            ": too few eigenvalues"
        } else {
            ": no phase is probable enough"
        };
        parts.push(text(format!(
            " nothing reliable can be said at the end{why}."
        )));
        sentences.push(parts);
    }
    let none: Vec<&LayerHistory<'_>> = stories
        .iter()
        .filter(|s| s.records.iter().all(|r| r.phase().is_none()))
        .collect();
    if !none.is_empty() {
        let mut parts = names(&none);
        parts.push(text(format!(
            " {} no phase at all; the table says why.",
            has(none.len())
        )));
        sentences.push(parts);
    }
    sentences
}

fn text_first(start: &str, rest: Sentence) -> Sentence {
    std::iter::once(text(start)).chain(rest).collect()
}

/// The change of one scalar of the training: the accuracy of validation or test, or otherwise a
/// loss.
fn training(run: &Run) -> Option<Sentence> {
    let wanted = |wish: &[&str]| {
        let named = |n: &str| wish.iter().all(|w| n.to_lowercase().contains(w));
        let scalars = run.trajectory.scalars().iter();
        scalars.map(|s| s.name.as_str()).find(|n| named(n))
    };
    let name = wanted(&["val", "acc"])
        .or_else(|| wanted(&["test", "acc"]))
        .or_else(|| wanted(&["val", "loss"]))
        .or_else(|| wanted(&["loss"]))?;
    let mut points: Vec<(usize, f64)> = run.trajectory.scalar(name).collect();
    points.sort_by_key(|p| p.0);
    let (&(from, first), &(to, last)) = (points.first()?, points.last()?);
    if from == to {
        return None;
    }
    let digits = |v: f64| super::esd::rounded(v, 3);
    Some(vec![text(format!(
        "Meanwhile the {name} went from {} at epoch {from} to {} at epoch {to}.",
        digits(first),
        digits(last)
    ))])
}

#[cfg(test)]
pub(super) fn plain(sentence: &[Part]) -> String {
    sentence.iter().map(|p| p.text.as_str()).collect()
}
