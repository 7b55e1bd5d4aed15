//! The whale that the tutorial's `docker/whalesay` image draws. Pure: text in, picture out.

/// The widest line inside the balloon, as cowsay folds it.
const WIDTH: usize = 39;

const WHALE: &str = r"    \
     \
      \
                    ##        .
              ## ## ##       ==
           ## ## ## ##      ===
       /---------------/ ===
  ~~~ {~~ ~~~~ ~~~ ~~~~ ~~ ~ /  ===- ~~~
       \______ o          __/
        \    \        __/
          \____\______/
";

/// The whale saying `words`.
#[must_use]
pub fn whale(words: &str) -> String {
    let lines = fold(words);
    let width = lines
        .iter()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = format!(" {} \n", "_".repeat(width + 2));
    let last = lines.len().saturating_sub(1);
    for (index, line) in lines.iter().enumerate() {
        let (left, right) = match (index, last) {
            (_, 0) => ('<', '>'),
            (0, _) => ('/', '\\'),
            (index, last) if index == last => ('\\', '/'),
            _ => ('|', '|'),
        };
        let pad = " ".repeat(width - line.chars().count());
        out.push_str(&format!("{left} {line}{pad} {right}\n"));
    }
    out.push_str(&format!(" {} \n", "-".repeat(width + 2)));
    out.push_str(WHALE);
    out
}

fn fold(words: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in words.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let room =
            |line: &str| WIDTH.saturating_sub(line.chars().count() + usize::from(!line.is_empty()));
        if word.len() > room(&line) && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > WIDTH {
            let rest = word.split_off(WIDTH);
            lines.push(word.into_iter().collect());
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_has_angles_and_several_a_balloon() {
        let picture = whale("hello world");
        assert!(
            picture.starts_with(" _____________ \n< hello world >\n ------------- \n    \\\n"),
            "{picture}"
        );
        let picture = whale(&"word ".repeat(20));
        let lines: Vec<_> = picture.lines().collect();
        assert!(
            lines[1].starts_with("/ word")
                && lines[2].starts_with("| word")
                && lines[3].starts_with("\\ word")
        );
        assert!(whale("").contains("<  >"));
        assert!(
            whale(&"x".repeat(100))
                .lines()
                .all(|line| line.chars().count() <= WIDTH + 4)
        );
    }
}
