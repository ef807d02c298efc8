//! The stack machine that a pickle is a program for. Its instructions give nodes that refer to each other by number, so
//! that a list that grows after it was referred to is the same list, and no reference copies anything.

use std::collections::HashMap;
use std::sync::Arc;

use super::Value;
use super::names::is_known;
use crate::error::{Error, Result};

/// The number of a node.
pub(super) type Id = u32;

/// The most values of a file: a byte may make one, which takes some ten.
const MOST_VALUES: usize = 1 << 24;

/// The newest protocol.
const NEWEST: u8 = 5;

/// Letters of a name in a message.
const LONGEST_NAME: usize = 80;

/// A value whose parts are nodes.
#[derive(Debug)]
pub(super) enum Node {
    /// A value without parts.
    Leaf(Value),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// Keys and values in turn.
    Dict(Vec<Id>),
    Call(Box<Call>),
    Persistent(Id),
}

/// A class or function with its arguments.
#[derive(Debug)]
pub(super) struct Call {
    pub name: Arc<str>,
    pub arguments: Id,
    pub state: Option<Id>,
    /// Keys and values in turn, which were set afterwards.
    pub items: Vec<Id>,
}

struct Machine<'a> {
    place: &'a str,
    content: &'a [u8],
    /// The next byte.
    at: usize,
    objects: &'a [&'a str],
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack where marks were set.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

/// Nodes that are there from the start: constants, and the integers of a byte.
const NONE: Id = 0;
const TRUE: Id = 1;
const FALSE: Id = 2;
const BYTES: Id = 3;

/// What a pickle came to.
pub(super) struct Ran {
    pub nodes: Vec<Node>,
    /// The result.
    pub root: Id,
    /// Bytes up to its end.
    pub length: usize,
}

/// Runs the instructions of `content` up to the first end.
pub(super) fn run(content: &[u8], place: &str, objects: &[&str]) -> Result<Ran> {
    let constants = [Value::None, Value::Bool(true), Value::Bool(false)];
    let nodes = constants.into_iter().chain((0..=255).map(Value::Int)).map(Node::Leaf).collect();
    let (stack, marks, memo) = (Vec::new(), Vec::new(), HashMap::new());
    let mut machine = Machine { place, content, at: 0, objects, nodes, stack, marks, memo };
    loop {
        if let Some(root) = machine.step()? {
            return Ok(Ran { nodes: machine.nodes, root, length: machine.at });
        }
        if machine.nodes.len() > MOST_VALUES {
            let found = "more: an array would hold them in less room";
            return Err(machine.fault(format!("at most {MOST_VALUES} values"), found));
        }
    }
}

impl<'a> Machine<'a> {
    /// One instruction; the result where it is the last one.
    fn step(&mut self) -> Result<Option<Id>> {
        let code = self.array::<1>()?[0];
        match code {
            b'.' => return self.pop().map(Some),
            0x80 => self.protocol()?,
            // The length of a frame is for readers of streams.
            0x95 => drop(self.array::<8>()?),
            b'N' => self.stack.push(NONE),
            0x88 => self.stack.push(TRUE),
            0x89 => self.stack.push(FALSE),
            b'I' | b'L' | b'J' | b'K' | b'M' | 0x8a | 0x8b => self.integer(code)?,
            b'F' | b'G' => self.float(code)?,
            b'S' | b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 => self.bytes(code)?,
            b'V' | b'X' | 0x8c | 0x8d => self.text(code)?,
            b'(' | b'0' | b'1' | b'2' => self.arrange(code)?,
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(code)?,
            b']' | b'l' | b'a' | b'e' => self.list(code)?,
            b')' | b't' | 0x85..=0x87 => self.tuple(code)?,
            b'}' | b'd' | b's' | b'u' => self.dictionary(code)?,
            b'c' | 0x93 => self.global(code)?,
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            b'P' | b'Q' => self.persistent(code)?,
            _ => {
                self.at -= 1;
                let found = format!("the byte 0x{code:02x}");
                return Err(self.fault("an instruction of a pickle of plain values", &found));
            }
        }
        Ok(None)
    }

    fn protocol(&mut self) -> Result<()> {
        let [version] = self.array()?;
        if version > NEWEST {
            return Err(self.fault(format!("protocol 0 to {NEWEST}"), &format!("protocol {version}")));
        }
        Ok(())
    }

    fn integer(&mut self, code: u8) -> Result<()> {
        let number = match code {
            b'K' => {
                let [byte] = self.array()?;
                self.stack.push(BYTES + Id::from(byte));
                return Ok(());
            }
            b'M' => u16::from_le_bytes(self.array()?).into(),
            b'J' => i32::from_le_bytes(self.array()?).into(),
            0x8a | 0x8b => {
                let length = if code == 0x8a { 1 } else { 4 };
                let bytes = self.counted(length)?;
                match *bytes {
                    [] => 0,
                    [.., last] if bytes.len() <= 8 => {
                        let mut wide = [if last < 0x80 { 0 } else { 0xFF }; 8];
                        wide[..bytes.len()].copy_from_slice(bytes);
                        i64::from_le_bytes(wide)
                    }
                    _ => return Err(self.too_long()),
                }
            }
            _ => match self.line()? {
                b"00" if code == b'I' => return self.constant(FALSE),
                b"01" if code == b'I' => return self.constant(TRUE),
                line => {
                    let digits = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('L');
                    digits.parse().map_err(|_| self.too_long())?
                }
            },
        };
        self.leaf(Value::Int(number));
        Ok(())
    }

    fn constant(&mut self, id: Id) -> Result<()> {
        self.stack.push(id);
        Ok(())
    }

    fn float(&mut self, code: u8) -> Result<()> {
        let number = match code {
            b'G' => f64::from_be_bytes(self.array()?),
            _ => {
                let line = self.line()?;
                let number = std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok());
                number.ok_or_else(|| self.fault("a number", "something else"))?
            }
        };
        self.leaf(Value::Float(number));
        Ok(())
    }

    fn bytes(&mut self, code: u8) -> Result<()> {
        let bytes: Arc<[u8]> = match code {
            b'S' => {
                let line = self.line()?;
                unquoted(line).ok_or_else(|| self.fault("a string in quotes", "another one"))?.into()
            }
            b'U' | b'C' => self.counted(1)?.into(),
            b'T' | b'B' => self.counted(4)?.into(),
            _ => self.counted(8)?.into(),
        };
        self.leaf(Value::Bytes(bytes));
        Ok(())
    }

    fn text(&mut self, code: u8) -> Result<()> {
        let text: Option<Arc<str>> = match code {
            b'V' => unescaped(self.line()?).map(Into::into),
            _ => {
                let length = [(b'X', 4), (0x8c, 1)].into_iter().find(|(of, _)| *of == code).map_or(8, |(_, size)| size);
                std::str::from_utf8(self.counted(length)?).ok().map(Into::into)
            }
        };
        let text = text.ok_or_else(|| self.fault("a text in Unicode", "other bytes"))?;
        self.leaf(Value::Text(text));
        Ok(())
    }

    /// Marks, and what is dropped or doubled.
    fn arrange(&mut self, code: u8) -> Result<()> {
        match code {
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            _ => {
                let top = self.top()?;
                self.stack.push(top);
            }
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<()> {
        let key = match code {
            b'q' | b'h' => self.array::<1>()?[0].into(),
            b'r' | b'j' => u32::from_le_bytes(self.array()?).into(),
            0x94 => self.memo.len() as u64,
            _ => {
                let line = self.line()?;
                let key = std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok());
                key.ok_or_else(|| self.fault("the number of a value", "something else"))?
            }
        };
        if matches!(code, b'g' | b'h' | b'j') {
            let id = self.memo.get(&key).copied();
            let id = id.ok_or_else(|| self.fault("a value that came before", &format!("number {key}")))?;
            self.stack.push(id);
        } else {
            let top = self.top()?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    fn list(&mut self, code: u8) -> Result<()> {
        let items = match code {
            b']' => return self.push(Node::List(Vec::new())),
            b'l' => {
                let items = self.since_mark()?;
                return self.push(Node::List(items));
            }
            b'a' => vec![self.pop()?],
            _ => self.since_mark()?,
        };
        let top = self.top()? as usize;
        match &mut self.nodes[top] {
            Node::List(list) => list.extend(items),
            _ => return Err(self.fault("a list to append to", "something else")),
        }
        Ok(())
    }

    fn tuple(&mut self, code: u8) -> Result<()> {
        let items = match code {
            b')' => Vec::new(),
            b't' => self.since_mark()?,
            _ => {
                let mut items = (0x84..code).map(|_| self.pop()).collect::<Result<Vec<Id>>>()?;
                items.reverse();
                items
            }
        };
        self.push(Node::Tuple(items))
    }

    fn dictionary(&mut self, code: u8) -> Result<()> {
        let items = match code {
            b'}' => Vec::new(),
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.since_mark()?,
        };
        if items.len() % 2 == 1 {
            return Err(self.fault("a value for every key", "a key more"));
        }
        if matches!(code, b'}' | b'd') {
            return self.push(Node::Dict(items));
        }
        let top = self.top()? as usize;
        match &mut self.nodes[top] {
            Node::Dict(entries) => entries.extend(items),
            Node::Call(call) => call.items.extend(items),
            _ => return Err(self.fault("a dictionary", "something else")),
        }
        Ok(())
    }

    fn global(&mut self, code: u8) -> Result<()> {
        let name = if code == b'c' {
            let [module, name] = [self.line()?, self.line()?].map(String::from_utf8_lossy);
            format!("{module}.{name}")
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match [module, name].map(|id| &self.nodes[id as usize]) {
                [Node::Leaf(Value::Text(module)), Node::Leaf(Value::Text(name))] => format!("{module}.{name}"),
                _ => return Err(self.fault("the names of a module and a class", "something else")),
            }
        };
        if !is_known(&name) && !self.objects.contains(&&*name) {
            let mut shown: String = name.chars().take(LONGEST_NAME).collect();
            if shown.len() < name.len() {
                shown.push('…');
            }
            let error =
                self.fault("numbers, texts, lists, dictionaries and NumPy arrays", &format!("a use of {shown}"));
            return Err(error.with_hint("nothing in a pickle is executed: save plain values and arrays instead"));
        }
        self.leaf(Value::Global(name.into()));
        Ok(())
    }

    /// A call of a class or a function, which is kept as it is.
    fn call(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        match [callable, arguments].map(|id| &self.nodes[id as usize]) {
            [Node::Leaf(Value::Global(name)), Node::Tuple(_)] => {
                let call = Call { name: Arc::clone(name), arguments, state: None, items: Vec::new() };
                self.push(Node::Call(Box::new(call)))
            }
            _ => Err(self.fault("a class with a tuple of arguments", "something else")),
        }
    }

    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let top = self.top()? as usize;
        match &mut self.nodes[top] {
            Node::Call(call) => call.state = Some(state),
            _ => return Err(self.fault("an object that gets its attributes", "something else")),
        }
        Ok(())
    }

    fn persistent(&mut self, code: u8) -> Result<()> {
        if code == b'P' {
            let key = String::from_utf8_lossy(self.line()?).into_owned();
            self.leaf(Value::Text(key.into()));
        }
        let key = self.pop()?;
        self.push(Node::Persistent(key))
    }

    fn leaf(&mut self, value: Value) {
        let _ = self.push(Node::Leaf(value));
    }

    /// There are fewer than [`MOST_VALUES`] nodes, so that a number holds.
    fn push(&mut self, node: Node) -> Result<()> {
        self.stack.push(self.nodes.len() as Id);
        self.nodes.push(node);
        Ok(())
    }

    fn top(&self) -> Result<Id> {
        let above = self.stack.get(self.marks.last().copied().unwrap_or_default()..);
        let top = above.and_then(<[Id]>::last).copied();
        top.ok_or_else(|| self.fault("a value before this instruction", "none"))
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// What was pushed since the last mark.
    fn since_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        let mark = mark.ok_or_else(|| self.fault("a mark before this instruction", "none"))?;
        Ok(self.stack.split_off(mark))
    }

    fn fault(&self, expected: impl Into<String>, found: &str) -> Error {
        Error::invalid(format!("{}, byte {}", self.place, self.at), expected, found)
    }

    fn too_long(&self) -> Error {
        self.fault("an integer of at most 64 bits", "a longer one")
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH]> {
        let bytes = self.take(LENGTH as u64)?;
        Ok(bytes.try_into().expect("as many as were taken"))
    }

    /// As many bytes as a number of so many bytes before them says.
    fn counted(&mut self, size: u64) -> Result<&'a [u8]> {
        let mut wide = [0; 8];
        wide[..size as usize].copy_from_slice(self.take(size)?);
        self.take(u64::from_le_bytes(wide))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let content: &'a [u8] = self.content;
        let rest = &content[self.at..];
        match usize::try_from(count).ok().and_then(|count| rest.get(..count)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => {
                let found = format!("{}: the file is cut, or is no pickle", rest.len());
                Err(self.fault(format!("{count} more bytes"), &found))
            }
        }
    }

    /// A line without its end.
    fn line(&mut self) -> Result<&'a [u8]> {
        let content: &'a [u8] = self.content;
        let rest = &content[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| self.fault("a line", "no end of it: the file is cut, or is no pickle"))?;
        self.at += end + 1;
        Ok(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
    }
}

/// The bytes of a string as Python 2 prints it, in quotes and with escapes.
fn unquoted(line: &[u8]) -> Option<Vec<u8>> {
    let inner = match line.trim_ascii() {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return None,
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => digits(rest.by_ref(), 2)? as u8,
                quoted @ (b'\\' | b'\'' | b'"') => quoted,
                _ => return None,
            },
            other => other,
        });
    }
    Some(bytes)
}

/// The text of a line in Latin-1 with `\u` and `\U` for other letters.
fn unescaped(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let length = match (byte, rest.peek()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                continue;
            }
        };
        rest.next();
        text.push(char::from_u32(digits(rest.by_ref(), length)?)?);
    }
    Some(text)
}

/// A number of so many hexadecimal digits.
fn digits(letters: impl Iterator<Item = u8>, count: usize) -> Option<u32> {
    let mut read = 0;
    let add = |number: u32, letter: u8| {
        read += 1;
        Some(number << 4 | char::from(letter).to_digit(16)?)
    };
    let number = letters.take(count).try_fold(0, add)?;
    (read == count).then_some(number)
}
