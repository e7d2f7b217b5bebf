//! Reads an expression (XSD 1.0 part 2, appendix F) into the intermediate form of the regex engine.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Repetition};

use super::classes;

/// Parentheses, or classes subtracted from classes, within each other.
const DEEPEST: usize = 60;
/// The largest number in a quantifier.
const MOST: u32 = 100_000;

type Parsed<T> = Result<T, String>;

/// # Errors
/// A sentence that says what is wrong.
pub(super) fn parse(expression: &str) -> Parsed<Hir> {
    let mut parser = Parser { rest: expression, depth: 0 };
    let hir = parser.alternatives()?;
    match parser.peek() {
        None => Ok(hir),
        Some(_) => Err("a closing parenthesis has no opening one".to_owned()),
    }
}

/// The class of single characters.
fn class(class: ClassUnicode) -> Hir {
    Hir::class(Class::Unicode(class))
}

fn only(c: char) -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new(c, c)])
}

struct Parser<'e> {
    rest: &'e str,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn take(&mut self, start: &str) -> bool {
        let rest = self.rest.strip_prefix(start);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(format!("it is nested more than {DEEPEST} deep")),
            false => Ok(()),
        }
    }

    fn alternatives(&mut self) -> Parsed<Hir> {
        self.deeper()?;
        let mut branches = vec![self.branch()?];
        while self.take("|") {
            branches.push(self.branch()?);
        }
        self.depth -= 1;
        Ok(Hir::alternation(branches))
    }

    fn branch(&mut self) -> Parsed<Hir> {
        let mut pieces = Vec::new();
        while let Some(c) = self.peek().filter(|c| !matches!(c, '|' | ')')) {
            self.next();
            let atom = match c {
                '(' => self.group()?,
                '[' => class(self.class()?),
                '.' => Hir::dot(Dot::AnyCharExceptCRLF),
                '\\' => class(self.escape()?.0),
                '?' | '*' | '+' | '{' => {
                    return Err(format!("{c} has nothing before it that it could repeat"));
                }
                ']' | '}' => return Err(format!("a {c} that stands for itself is written \\{c}")),
                c => class(only(c)),
            };
            pieces.push(self.quantified(atom)?);
        }
        Ok(Hir::concat(pieces))
    }

    fn group(&mut self) -> Parsed<Hir> {
        let inner = self.alternatives()?;
        match self.take(")") {
            true => Ok(inner),
            false => Err("an opening parenthesis is not closed".to_owned()),
        }
    }

    fn quantified(&mut self, atom: Hir) -> Parsed<Hir> {
        let (min, max) = match self.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') => {
                self.next();
                let quantity = self.quantity()?;
                if !self.rest.starts_with('}') {
                    return Err("a quantifier in braces is {n}, {n,} or {n,m}".to_owned());
                }
                quantity
            }
            _ => return Ok(atom),
        };
        self.next();
        if max.is_some_and(|max| max < min) {
            return Err("a quantifier's second number is less than its first".to_owned());
        }
        Ok(Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(atom) }))
    }

    fn quantity(&mut self) -> Parsed<(u32, Option<u32>)> {
        let min = self.number()?;
        if !self.take(",") {
            return Ok((min, Some(min)));
        }
        match self.rest.starts_with('}') {
            true => Ok((min, None)),
            false => Ok((min, Some(self.number()?))),
        }
    }

    fn number(&mut self) -> Parsed<u32> {
        let end = self.rest.bytes().position(|octet| !octet.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        if digits.is_empty() {
            return Err("a quantifier in braces is {n}, {n,} or {n,m}".to_owned());
        }
        let significant = digits.trim_start_matches('0');
        let value = if significant.is_empty() { Ok(0) } else { significant.parse() };
        value.ok().filter(|value| *value <= MOST).ok_or_else(|| format!("it repeats more than {MOST} times"))
    }

    /// What follows a backslash: a class, and the character if it is a single one.
    fn escape(&mut self) -> Parsed<(ClassUnicode, Option<char>)> {
        let Some(c) = self.next() else {
            return Err("a backslash stands at the end".to_owned());
        };
        let single = match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '\\' | '|' | '.' | '?' | '*' | '+' | '(' | ')' | '{' | '}' | '-' | '[' | ']' | '^' => c,
            'p' | 'P' => return Ok((self.property(c == 'P')?, None)),
            c => {
                let class =
                    classes::multiple(c).ok_or_else(|| format!("\\{c} is no escape of XML Schema"))?;
                return Ok((class, None));
            }
        };
        Ok((only(single), Some(single)))
    }

    /// `{name}` behind `\p` or `\P`.
    fn property(&mut self, negated: bool) -> Parsed<ClassUnicode> {
        let name = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let Some((name, rest)) = name else {
            return Err("\\p is followed by the name of a category or block in braces".to_owned());
        };
        self.rest = rest;
        let mut class =
            classes::property(name).ok_or_else(|| format!("{name} is no category or block of Unicode"))?;
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// A class behind its opening bracket, the closing one included.
    fn class(&mut self) -> Parsed<ClassUnicode> {
        self.deeper()?;
        let negated = self.take("^");
        let mut all = ClassUnicode::empty();
        let mut first = true;
        let mut subtracted = None;
        loop {
            let Some(c) = self.next() else {
                return Err("a bracket is not closed".to_owned());
            };
            match c {
                ']' if first => return Err("a class in brackets is empty".to_owned()),
                ']' => break,
                '[' => return Err("a [ in a class is written \\[".to_owned()),
                '-' if !first && self.take("[") => {
                    subtracted = Some(self.class()?);
                    if !self.take("]") {
                        return Err("behind a subtracted class the class must end".to_owned());
                    }
                    break;
                }
                c => all.union(&self.member(c, first)?),
            }
            first = false;
        }
        self.depth -= 1;
        if negated {
            all.negate();
        }
        if let Some(subtracted) = subtracted {
            all.difference(&subtracted);
        }
        Ok(all)
    }

    /// A character, a range or an escape in a class, of which `c` has been read.
    fn member(&mut self, c: char, first: bool) -> Parsed<ClassUnicode> {
        let from = match c {
            '\\' => match self.escape()? {
                (class, None) => return Ok(class),
                (_, Some(single)) => single,
            },
            // It stands for itself at the beginning and at the end.
            '-' if first || self.rest.starts_with(']') || self.rest.starts_with("-[") => {
                return Ok(only('-'));
            }
            '-' => return Err("a hyphen within a class is written \\-".to_owned()),
            c => c,
        };
        let ranges = self.rest.starts_with('-')
            && !self.rest.starts_with("-[")
            && !self.rest.starts_with("-]")
            && !self.rest.starts_with("--[");
        if !ranges {
            return Ok(only(from));
        }
        self.next();
        let to = match self.next() {
            Some('\\') => self.escape()?.1.ok_or("a range ends in a class of characters")?,
            Some('-') => return Err("a range ends in a hyphen, which is written \\-".to_owned()),
            Some(to) => to,
            None => return Err("a bracket is not closed".to_owned()),
        };
        match from <= to {
            true => Ok(ClassUnicode::new([ClassUnicodeRange::new(from, to)])),
            false => Err("a range runs backwards".to_owned()),
        }
    }
}
