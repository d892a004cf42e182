//! Statements and conditions ready for use, alone and in sequences.

use tidegate_pdata::Signal;

use crate::compile::Compiler;
use crate::context::{self, Context};
use crate::error::Error;
use crate::fault::Fault;
use crate::functions::{Args, Editor};
use crate::parser;
use crate::plan::Test;
use crate::subject::Subject;

/// A statement, compiled for a context.
#[derive(Debug)]
pub struct Statement {
    text: Box<str>,
    run: Editor,
    args: Args,
    condition: Option<Test>,
    writes_up: bool,
}

impl Statement {
    /// Compiles a statement.
    ///
    /// # Errors
    /// When it is none, or names what the context does not have; the error says where.
    pub fn compile(text: &str, context: Context) -> Result<Self, Error> {
        let parsed = parser::statement(text)?;
        let mut compiler = Compiler::new(context);
        let compiled = compiler.editor(&parsed.editor).and_then(|(run, args)| {
            let condition = parsed
                .condition
                .as_ref()
                .map(|condition| compiler.condition(condition))
                .transpose()?;
            Ok(Self {
                text: text.into(),
                run,
                args,
                condition,
                writes_up: false,
            })
        });
        compiled
            .map(|statement| Self {
                writes_up: compiler.writes_up,
                ..statement
            })
            .map_err(|error| error.in_text(text))
    }

    /// Carries it out, if its condition holds; says whether it held.
    ///
    /// # Errors
    /// When a value is of a type that cannot be used so.
    pub fn execute(&self, subject: &mut Subject<'_>) -> Result<bool, Fault> {
        let holds = match &self.condition {
            None => true,
            Some(test) => test.eval(subject)?,
        };
        if holds {
            (self.run)(&self.args, subject)?;
        }
        Ok(holds)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) const fn args(&self) -> &Args {
        &self.args
    }

    pub(crate) const fn condition(&self) -> Option<&Test> {
        self.condition.as_ref()
    }

    /// Whether it changes something that the context's message shares with others.
    #[must_use]
    pub const fn writes_up(&self) -> bool {
        self.writes_up
    }
}

/// A condition, compiled for a context.
#[derive(Debug)]
pub struct Condition {
    text: Box<str>,
    test: Test,
}

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// When it is none, or names what the context does not have; the error says where.
    pub fn compile(text: &str, context: Context) -> Result<Self, Error> {
        let parsed = parser::condition(text)?;
        let test = Compiler::new(context)
            .condition(&parsed)
            .map_err(|error| error.in_text(text))?;
        Ok(Self {
            text: text.into(),
            test,
        })
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// When a value is of a type that cannot be used so.
    #[inline]
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, Fault> {
        self.test.eval(subject)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) const fn test(&self) -> &Test {
        &self.test
    }
}

/// Finds the context that statements and conditions have together, from the paths that they name.
///
/// # Errors
/// When one is none, a path has no context, or no context has all that they name.
pub fn infer_context(
    signal: Signal,
    statements: &[String],
    conditions: &[String],
) -> Result<Context, Error> {
    let statements = statements
        .iter()
        .map(|text| Ok((parser::statement(text)?, text.as_str())))
        .collect::<Result<Vec<_>, Error>>()?;
    let conditions = conditions
        .iter()
        .map(|text| Ok((parser::condition(text)?, text.as_str())))
        .collect::<Result<Vec<_>, Error>>()?;
    context::infer(signal, &statements, &conditions)
}
