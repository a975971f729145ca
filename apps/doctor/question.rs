//! What the doctor is asked: its own options, an application's name, and that one's arguments.

use gannet::Launch;

use crate::{bots, echo, r#gen};

/// Said by the doctor to itself, in the process that really starts.
pub(crate) const ATTEMPT: &str = "--attempt";

/// What the doctor is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) wants_help: bool,
    pub(crate) json: bool,
    pub(crate) tries: bool,
    pub(crate) is_attempt: bool,
    app: App,
    /// The application's arguments, EAL's and its own.
    words: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum App {
    Bots,
    #[default]
    Echo,
    Game,
    Gen,
}

impl Question {
    /// Takes out what is the doctor's own, which stands before the `--`.
    pub(crate) fn read(args: impl Iterator<Item = String>) -> Self {
        let mut question = Self::default();
        let mut is_first = true;
        let mut args = args;
        while let Some(word) = args.next() {
            match word.as_str() {
                "-h" | "--help" => question.wants_help = true,
                "--json" => question.json = true,
                "--try" => question.tries = true,
                ATTEMPT => question.is_attempt = true,
                "--" => {
                    question.words.push(word);
                    question.words.extend(args.by_ref());
                }
                "bots" if is_first => (question.app, is_first) = (App::Bots, false),
                "echo" if is_first => (question.app, is_first) = (App::Echo, false),
                "game" if is_first => (question.app, is_first) = (App::Game, false),
                "gen" if is_first => (question.app, is_first) = (App::Gen, false),
                _ => {
                    is_first = false;
                    question.words.push(word);
                }
            }
        }
        question
    }

    /// The command line that is asked about, read as the program itself does.
    pub(crate) fn launch(&self) -> gannet::Result<Launch> {
        let words = std::iter::once(format!("gannet {}", self.app_name())).chain(self.words.iter().cloned());
        match self.app {
            App::Bots => bots::parse(words),
            App::Echo => echo::parse(words),
            App::Game => gannet_game::parse(words),
            App::Gen => r#gen::parse(words),
        }
    }

    /// The command line that is asked about, as one would type it.
    pub(crate) fn command(&self) -> String {
        format!("gannet {} {}", self.app_name(), crate::pointer::quoted(&self.words)).trim_end().to_owned()
    }

    /// The words with which a process of its own really starts.
    pub(crate) fn attempt(&self) -> Vec<String> {
        let own = ["doctor", ATTEMPT, self.app_name()].map(str::to_owned);
        own.into_iter().chain(self.words.iter().cloned()).collect()
    }

    fn app_name(&self) -> &'static str {
        match self.app {
            App::Bots => "bots",
            App::Echo => "echo",
            App::Game => "game",
            App::Gen => "gen",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(line: &str) -> Question {
        Question::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_doctor_s_own_words_stand_before_the_dashes() {
        let asked = question("--json -l 1 --try -- --ip 10.0.0.1/8 --json out.json");
        assert!(asked.json && asked.tries && !asked.wants_help && !asked.is_attempt);
        assert_eq!(asked.command(), "gannet echo -l 1 -- --ip 10.0.0.1/8 --json out.json");
        assert!(!question("-- --json x").json);
    }

    #[test]
    fn an_application_may_be_named() {
        assert_eq!(question("gen -l 1 -- --to x").command(), "gannet gen -l 1 -- --to x");
        assert_eq!(question("echo").command(), "gannet echo");
        assert_eq!(question("-l 1 gen").command(), "gannet echo -l 1 gen");
        let again = Question::read(question("gen -l 1").attempt().into_iter().skip(1));
        assert_eq!((again.command().as_str(), again.is_attempt), ("gannet gen -l 1", true));
    }
}
