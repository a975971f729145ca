//! The line behind a failed start that says where help is.

use std::fmt::Display;

/// Points to the doctor, with the words of the command line behind the program's name.
pub(crate) fn line(words: &[String]) -> impl Display {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let words = match words.as_slice() {
        ["echo", rest @ ..] => rest,
        all => all,
    };
    let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
    format!("gannet doctor {} says what is missing", quoted(&words))
}

/// Words as a shell takes them.
pub(crate) fn quoted(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+.,:/@%".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn it_can_be_pasted_into_a_shell() {
        let of = |list: &[&str]| line(&words(list)).to_string();
        assert_eq!(
            of(&["echo", "-l", "1", "--", "--ip", "10.0.0.1/8@0.7"]),
            "gannet doctor -l 1 -- --ip 10.0.0.1/8@0.7 says what is missing"
        );
        assert_eq!(of(&["gen", "-l", "(1)@0"]), "gannet doctor gen -l '(1)@0' says what is missing");
        assert_eq!(quoted(&words(&["it's", "", "$x"])), r"'it'\''s' '' '$x'");
    }
}
