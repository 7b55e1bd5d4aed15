//! Tokens to a tree, with functions and variables resolved.
//! It never descends deeper than [`MAX_DEPTH`], so no text can overflow the stack.

mod pipeline;
mod resolve;
mod scope;

use super::ast::{Definition, Node, Pos, Program};
use super::lexer::{Kind, Token, lex};
use super::literal;
use resolve::resolve;
use scope::Scope;

/// How deeply actions and parentheses may nest together.
pub(super) const MAX_DEPTH: usize = 200;

/// Where and why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParseError {
    pub(super) pos: usize,
    pub(super) message: String,
}

type Parsed<T> = Result<T, ParseError>;

/// How a list of nodes ended.
enum End {
    End,
    /// With the keyword that follows at once, as in `else if`.
    Else(Option<&'static str>),
}

/// What an action can be inside a list.
enum Item {
    Node(Node),
    End(End),
}

pub(super) fn parse(text: &str) -> Parsed<Program> {
    let mut parser = Parser {
        text,
        tokens: lex(text),
        at: 0,
        depth: 0,
        templates: vec![],
        scope: Scope::default(),
        action_start: None,
    };
    let root = parser.root()?;
    parser.templates.insert(0, root);
    let mut program = Program {
        templates: parser.templates,
    };
    resolve(&mut program);
    Ok(program)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    templates: Vec<Definition>,
    scope: Scope,
    action_start: Option<usize>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token {
        let last = self.tokens.len().saturating_sub(1);
        // The last token, an end or an error, repeats for ever.
        static END: Token = Token {
            kind: Kind::Eof,
            start: 0,
            end: 0,
            message: String::new(),
        };
        self.tokens.get(self.at.min(last)).unwrap_or(&END)
    }

    fn kind(&self) -> Kind {
        self.peek().kind
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.kind() == Kind::Space {
            self.at += 1;
        }
    }

    fn next_token(&mut self) -> Token {
        self.skip_space();
        self.advance()
    }

    fn slice(&self, token: &Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    fn fail<T>(&self, pos: usize, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError {
            pos,
            message: message.into(),
        })
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind == Kind::Error {
            let mut message = token.message.clone();
            let line = |pos: usize| {
                self.text
                    .get(..pos)
                    .map_or(0, |text| text.matches('\n').count())
            };
            if let Some(start) = self.action_start
                && line(start) != line(token.end)
            {
                let prefix = if message.ends_with(" action") {
                    ""
                } else {
                    " in action"
                };
                message = format!("{message}{prefix} started at line {}", line(start) + 1);
            }
            return self.fail(token.start, message);
        }
        let shown = match token.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Keyword => format!("<{}>", self.slice(token)),
            _ => {
                let text = self.slice(token);
                match text.char_indices().nth(10) {
                    Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
                    None => format!("{text:?}"),
                }
            }
        };
        self.fail(token.start, format!("unexpected {shown} in {context}"))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.next_token();
        if token.kind == kind {
            Ok(token)
        } else {
            self.unexpected(&token, context)
        }
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(self.peek().start, "max expression depth exceeded");
        }
        Ok(())
    }

    fn root(&mut self) -> Parsed<Definition> {
        self.scope = Scope::new();
        let mut body = Vec::new();
        loop {
            if self.kind() == Kind::Eof {
                break;
            }
            if self.kind() == Kind::LeftDelim {
                let start = self.at;
                self.at += 1;
                let token = self.next_token();
                if token.kind == Kind::Keyword && self.slice(&token) == "define" {
                    self.definition()?;
                    continue;
                }
                self.at = start;
            }
            let pos = self.peek().start;
            match self.item()? {
                Item::Node(node) => body.push(node),
                Item::End(End::End) => return self.fail(pos, "unexpected {{end}}"),
                Item::End(End::Else(_)) => return self.fail(pos, "unexpected {{else}}"),
            }
        }
        Ok(Definition {
            name: Vec::new(),
            body,
            slots: self.scope.slots,
        })
    }

    /// Parses what has its own variables: the body of `define` and `block`.
    fn separate_body(&mut self, name: Vec<u8>, pos: usize, context: &str) -> Parsed<()> {
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        self.deeper()?;
        let (body, end) = self.list()?;
        self.depth -= 1;
        let scope = std::mem::replace(&mut self.scope, outer);
        if let End::Else(_) = end {
            return self.fail(pos, format!("unexpected {{{{else}}}} in {context}"));
        }
        self.add(
            Definition {
                name,
                body,
                slots: scope.slots,
            },
            pos,
        )
    }

    fn add(&mut self, definition: Definition, pos: usize) -> Parsed<()> {
        let known = self
            .templates
            .iter_mut()
            .find(|known| known.name == definition.name);
        match known {
            None => self.templates.push(definition),
            Some(known) if is_empty(&known.body) => *known = definition,
            Some(_) if is_empty(&definition.body) => {}
            Some(_) => {
                let name = String::from_utf8_lossy(&definition.name).into_owned();
                return self.fail(pos, format!("multiple definition of template {name:?}"));
            }
        }
        Ok(())
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_token();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        self.separate_body(name, token.start, CONTEXT)
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Parsed<Vec<u8>> {
        match token.kind {
            Kind::Str | Kind::RawStr => self.unquote(token),
            _ => self.unexpected(token, context),
        }
    }

    fn unquote(&self, token: &Token) -> Parsed<Vec<u8>> {
        match literal::unquote(self.slice(token)) {
            Some(bytes) => Ok(bytes),
            None => self.fail(token.start, "invalid syntax"),
        }
    }

    fn list(&mut self) -> Parsed<(Vec<Node>, End)> {
        let mut nodes = Vec::new();
        loop {
            self.skip_space();
            if self.kind() == Kind::Eof {
                return self.fail(self.peek().start, "unexpected EOF");
            }
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::End(end) => return Ok((nodes, end)),
            }
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let token = self.next_token();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(self.slice(&token).as_bytes().into()))),
            Kind::LeftDelim => {
                self.action_start = Some(token.start);
                let item = self.action();
                self.action_start = None;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        self.skip_space();
        let token = self.peek().clone();
        if token.kind != Kind::Keyword {
            let pipe = self.pipeline("command", Kind::RightDelim)?;
            return Ok(Item::Node(Node::Action(pipe)));
        }
        let word = self.slice(&token);
        if word == "nil" || word == "define" {
            let pipe = self.pipeline("command", Kind::RightDelim)?;
            return Ok(Item::Node(Node::Action(pipe)));
        }
        self.at += 1;
        match word {
            "if" => self.branches("if").map(Item::Node),
            "with" => self.branches("with").map(Item::Node),
            "range" => self.range().map(Item::Node),
            "block" => self.block().map(Item::Node),
            "template" => self.template().map(Item::Node),
            "end" => {
                self.expect(Kind::RightDelim, "end")?;
                Ok(Item::End(End::End))
            }
            "else" => {
                self.skip_space();
                let next = self.peek().clone();
                let follows = match (next.kind, self.slice(&next)) {
                    (Kind::Keyword, "if") => Some("if"),
                    (Kind::Keyword, "with") => Some("with"),
                    _ => None,
                };
                if follows.is_none() {
                    self.expect(Kind::RightDelim, "else")?;
                }
                Ok(Item::End(End::Else(follows)))
            }
            _ => {
                let context = format!("{{{{{word}}}}}");
                self.expect(Kind::RightDelim, &context)?;
                if self.scope.loops == 0 {
                    return self.fail(token.start, format!("{context} outside {{{{range}}}}"));
                }
                let node = if word == "break" {
                    Node::Break
                } else {
                    Node::Continue
                };
                Ok(Item::Node(node))
            }
        }
    }

    fn branches(&mut self, word: &'static str) -> Parsed<Node> {
        self.deeper()?;
        let mark = self.scope.mark();
        let mut branches = Vec::new();
        let mut otherwise = None;
        loop {
            let pipe = self.pipeline(word, Kind::RightDelim)?;
            let (body, end) = self.list()?;
            branches.push((pipe, body));
            match end {
                End::End => break,
                End::Else(Some(follows)) if follows == word => {
                    self.skip_space();
                    self.at += 1;
                }
                End::Else(_) => {
                    otherwise = Some(self.else_body()?);
                    break;
                }
            }
        }
        self.scope.back_to(mark);
        self.depth -= 1;
        Ok(match word {
            "if" => Node::If {
                branches,
                otherwise,
            },
            _ => Node::With {
                branches,
                otherwise,
            },
        })
    }

    fn else_body(&mut self) -> Parsed<Vec<Node>> {
        let pos = self.peek().start;
        let (body, end) = self.list()?;
        match end {
            End::End => Ok(body),
            End::Else(_) => self.fail(pos, "expected end; found {{else}}"),
        }
    }

    fn range(&mut self) -> Parsed<Node> {
        self.deeper()?;
        let mark = self.scope.mark();
        let pipe = self.pipeline("range", Kind::RightDelim)?;
        self.scope.loops += 1;
        let (body, end) = self.list()?;
        self.scope.loops -= 1;
        let otherwise = match end {
            End::End => None,
            End::Else(_) => Some(self.else_body()?),
        };
        self.scope.back_to(mark);
        self.depth -= 1;
        Ok(Node::Range {
            pipe,
            body,
            otherwise,
        })
    }

    fn template(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_token();
        let name = self.template_name(&token, CONTEXT)?;
        self.skip_space();
        let pipe = if self.kind() == Kind::RightDelim {
            self.at += 1;
            None
        } else {
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Node::Template {
            pos: position(token.start),
            name,
            index: None,
            pipe,
        })
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_token();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        self.separate_body(name.clone(), token.start, CONTEXT)?;
        Ok(Node::Template {
            pos: position(token.start),
            name,
            index: None,
            pipe: Some(pipe),
        })
    }
}

fn position(offset: usize) -> Pos {
    Pos::try_from(offset).unwrap_or(Pos::MAX)
}

/// Whether a template holds nothing but space.
fn is_empty(body: &[Node]) -> bool {
    body.iter().all(|node| match node {
        Node::Text(text) => String::from_utf8_lossy(text).trim().is_empty(),
        _ => false,
    })
}
