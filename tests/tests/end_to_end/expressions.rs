//! Expressions at run time: what they may cost, and what an error of one says.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tombolo_tests::{Host, HostOptions};

fn set(name: &str, expression: &str) -> Value {
    json!({"name": name, "nodes": {"greedy": {"use": "set", "with": {"list": [{"value": expression}]}}}})
}

/// Expressions without an end, and values that are too large.
const GREEDY: [(&str, &str); 6] = [
    ("repeat", "${ repeat(1) }"),
    ("repeated-list", "${ [repeat(1)] }"),
    ("range", "${ [range(1e9)] }"),
    ("string", "${ \"a\" * 1073741824 }"),
    ("doubling", "${ reduce range(30) as $i (\"a\"; . + .) }"),
    ("recursion", "${ def f: 1 + f; f }"),
];

#[tokio::test(flavor = "multi_thread")]
async fn greedy_expressions_end_and_others_are_served_meanwhile() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    for (name, expression) in GREEDY {
        host.apply(&set(name, expression)).await?;
    }
    host.apply(&set("modest", "${ [range(.trigger.n)] | add }")).await?;
    let mut greedy = Vec::new();
    for (name, expression) in GREEDY {
        greedy.push((expression, host.start_run(name, &json!({})).await?));
    }
    for n in 1..20 {
        let run = host.run_to_end("modest", &json!({ "n": n })).await?;
        run.is("succeeded", &[])?;
        let sum = n * (n - 1) / 2;
        ensure!(run.step("greedy")?.output() == &json!({"list": [{"value": sum}]}), "{run}");
    }
    for (expression, run) in greedy {
        let run = host.ended(&run).await?;
        run.is("failed", &[("greedy", "dead")]).with_context(|| expression)?;
        let step = run.step("greedy")?;
        ensure!(step.error_code().starts_with("expression-"), "{run}");
        let text = expression.trim_start_matches("${").trim_end_matches('}').trim();
        for part in ["greedy", "/with/list/0/value", text] {
            ensure!(step.error_message().contains(part), "`{part}` is not named\n{run}");
        }
        let details = &step.0["error"]["details"];
        ensure!(details["node"] == "greedy" && details["pointer"] == "/with/list/0/value", "{run}");
    }
    let peak = host.peak_bytes().await?;
    ensure!(peak < 900 * 1024 * 1024, "it took {peak} bytes");
    Ok(())
}

/// A chain of `set` nodes, each wrapping what the one before it gave.
fn chain(name: &str, nodes: usize, wrap: &dyn Fn(String) -> Value) -> Value {
    let node = |at: usize| {
        let (after, source) = match at {
            0 => (json!([]), "${ .trigger }".to_owned()),
            _ => (json!([format!("n{}", at - 1)]), format!("${{ .steps.n{} }}", at - 1)),
        };
        (format!("n{at}"), json!({"use": "set", "after": after, "with": {"v": wrap(source)}}))
    };
    json!({"name": name, "nodes": (0..nodes).map(node).collect::<serde_json::Map<_, _>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_grow_without_an_evaluator_are_bounded_too() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    let deep = |source| (0..80).fold(json!(source), |inner, _| json!([inner]));
    host.apply(&chain("deep", 100, &deep)).await?;
    host.apply(&chain("doubling", 40, &|source| json!([source, source]))).await?;
    host.apply(&chain("thousandfold", 1, &|source| json!(vec![source; 1_000]))).await?;
    let large = json!("x".repeat(1024 * 1024));
    for (workflow, input, codes) in [
        ("deep", json!(1), ["parameters-too-deep", ""]),
        ("doubling", json!("x".repeat(1_000)), ["parameters-too-large", "run-too-large"]),
        ("thousandfold", large, ["parameters-too-large", ""]),
    ] {
        let run = host.run_to_end(workflow, &input).await?;
        run.is("failed", &[]).with_context(|| workflow)?;
        let dead = run.steps().find(|step| !step.error_code().is_empty());
        let dead = dead.with_context(|| format!("no step failed\n{workflow}"))?;
        ensure!(codes.contains(&dead.error_code()), "{workflow}: {}", dead.error_code());
    }
    let peak = host.peak_bytes().await?;
    ensure!(peak < 900 * 1024 * 1024, "it took {peak} bytes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_beyond_numbers_is_an_error_and_not_null() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    host.apply(&set("huge", "${ [1, 1e1000, \"important\"] }")).await?;
    let run = host.run_to_end("huge", &json!({})).await?;
    let step = run.step("greedy")?;
    let kept = step.output()["list"][0]["value"][2] == "important";
    ensure!(kept || step.error_code() == "expression-failed", "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_named() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    for (name, expression, limit) in [
        ("range", "${ [range(1e9)] }", "expression."),
        ("string", "${ \"a\" * 1073741824 }", "expression.memory_bytes"),
    ] {
        host.apply(&set(name, expression)).await?;
        let run = host.run_to_end(name, &json!({})).await?;
        run.is("failed", &[("greedy", "dead")])?;
        let step = run.step("greedy")?;
        ensure!(step.error_code() == "expression-limit", "{run}");
        ensure!(step.error_message().contains(limit), "{limit} is not named\n{run}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_without_a_value_says_why_and_where() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    let failing = [
        ("number", "${ .trigger.text | tonumber }", "expression-failed", "number"),
        ("empty", "${ empty }", "expression-empty", ""),
        ("many", "${ 1, 2 }", "expression-many", ""),
        ("error", "${ error(\"no such tier\") }", "expression-failed", "no such tier"),
    ];
    for (name, expression, code, words) in failing {
        host.apply(&set(name, expression)).await?;
        let run = host.run_to_end(name, &json!({"text": "seven"})).await?;
        run.is("failed", &[("greedy", "dead")])?;
        let step = run.step("greedy")?;
        ensure!(step.error_code() == code && step.error_message().contains(words), "{run}");
        ensure!(step.error_message().contains("node `greedy`, /with/list/0/value"), "{run}");
        ensure!(step.attempts() == 0, "an attempt was started\n{run}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_keep_their_types() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    let with = json!({
        "number": "${ .trigger.n }", "big": "${ .trigger.big }", "computed": "${ .trigger.n + 1 }",
        "list": "${ .trigger.list }", "nothing": "${ .trigger.missing }", "truth": "${ .trigger.n > 6 }",
        "text": "n is ${ .trigger.n }, list is ${ .trigger.list }", "literal": "$${ .trigger.n }"
    });
    host.apply(&json!({"name": "types", "nodes": {"kept": {"use": "set", "with": with}}})).await?;
    let input = json!({"n": 7, "big": 9007199254740993_u64, "list": [1, "a", null]});
    let run = host.run_to_end("types", &input).await?;
    run.is("succeeded", &[])?;
    let expected = json!({
        "number": 7, "big": 9007199254740993_u64, "computed": 8,
        "list": [1, "a", null], "nothing": null, "truth": true,
        "text": "n is 7, list is [1,\"a\",null]", "literal": "${ .trigger.n }"
    });
    ensure!(run.step("kept")?.output() == &expected, "{:#}", run.step("kept")?.output());
    Ok(())
}
