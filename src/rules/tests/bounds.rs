//! What no event, and hardly a rule, can make of an evaluation.

use super::*;

#[test]
fn endless_templates_run_out_of_steps() {
    let case = Case::pull_request();
    for template in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}x",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ range(100000) | map('string') | list | length }}{{ ([1] * 99999999) | list }}",
    ] {
        let reason = case.prompt(template).unwrap_err();
        assert!(reason.starts_with("the prompt "), "{template}: {reason}");
    }
    let (is_match, found) = case.when("([1] * 99999999) | select | list");
    assert!(!is_match);
    assert_eq!(found, "it takes more steps than allowed");
}

#[test]
fn a_prompt_is_cut_while_it_grows() {
    let mut case = Case::pull_request();
    case.prompt_bytes_max = 1_000;
    let filled = case.prompt("{% for n in range(100) %}0123456789{% endfor %}");
    assert_eq!(filled.unwrap().len(), 1_000);
    for template in [
        "{% for n in range(100) %}0123456789{% endfor %}!",
        "{{ '0123456789' * 101 }}",
    ] {
        let reason = "the prompt grows beyond 1000 bytes".to_owned();
        assert_eq!(case.prompt(template), Err(reason), "{template}");
    }
}

#[test]
fn texts_that_double_take_no_memory() {
    let case = Case::pull_request();
    let doubled = "{% set x = x ~ x %}".repeat(60);
    for template in [
        format!("{{% set x = 'aaaaaaaa' %}}{doubled}{{{{ x | length }}}}"),
        format!("{{% set x = 'aaaaaaaa' %}}{}", doubled.replace('~', "+")),
        "{{ ('a' * 99999999) | length }}".to_owned(),
        "{{ ('a' * 1000000) | replace('a', 'a' * 100000) | length }}".to_owned(),
        "{{ 'a' | indent(4000000000, true) }}".to_owned(),
        "{{ '%2000000000d' | format(1) }}".to_owned(),
        "{{ (['a' * 100000] * 100000) | join }}".to_owned(),
        "{{ (['a' * 100000] * 100000) | tojson }}".to_owned(),
        "{% set x %}{{ ['a' * 100000] * 100000 }}{% endset %}{{ x }}".to_owned(),
        "{{ [[1]] | tojson(indent=4000000000) * 999999999 }}".to_owned(),
        "{{ ('a,' * 3000000) | split(',') | length }}".to_owned(),
        "{{ ('a\n' * 3000000) | lines | length }}".to_owned(),
        "{{ ('a' * 6000000) | fence }}".to_owned(),
    ] {
        let reason = case.prompt(&template).unwrap_err();
        assert!(reason.len() < 400, "{template}: {reason}");
    }
}

/// The stack of a thread is 2 MiB, here as in the server, where the frames are smaller.
#[test]
fn what_a_rule_nests_by_hand_fits_the_stack() {
    let case = Case::of_payload("[]");
    let judge = |when: Option<String>, prompt: String| {
        let mut definition = definition();
        definition.when = when;
        definition.prompt = prompt;
        let rule = Rule::compile(definition)?;
        Rulebook::new(vec![rule]).judge(&case.facts());
        Ok::<(), CompileError>(())
    };
    let sum = "1+".repeat(1_000) + "1";
    let nested = "{% set x = [x] %}".repeat(990);
    for template in [
        format!("{{% set x = 1 %}}{nested}{{{{ x }}}}"),
        format!("{{% set x = 1 %}}{nested}{{{{ x | tojson }}}}"),
        format!("{{% set x = 1 %}}{nested}{{{{ x == [x] }}}}"),
        format!("{{{{ {sum} }}}}"),
    ] {
        judge(None, template).unwrap();
    }
    judge(Some(sum), "x".to_owned()).unwrap();
    for template in [
        format!("\n{{{{ {}1 }}}}", "1+".repeat(20_000)),
        format!("\n{{{{ [{}] }}}}", "[".repeat(200)),
        "{{ 1 }}\n".repeat(1_001),
        "{% if 1 %}\n".repeat(500),
    ] {
        let error = judge(None, template).unwrap_err();
        assert!(error.line > 1, "{error}");
    }
    judge(Some("not ".repeat(15_000) + "1"), "x".to_owned()).unwrap_err();
}
