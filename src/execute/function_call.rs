//! The function call sub-protocol: one function, called by its oid, on home.
//!
//! The message passes as the client sent it; what its arguments are worth is the server's to say.

use crate::plan::{Redo, WriteEffect};
use crate::types::WriteMode;
use crate::wire::frontend;

use super::failure::Failure;
use super::forward;
use super::link::{Link, Role};

impl Link {
    /// Calls a function on home and passes the reply, all but ReadyForQuery; `body` is the FunctionCall message's.
    pub async fn function_call(&mut self, body: &[u8]) -> Result<(), Failure> {
        let home = self.snapshot.rules.home;
        if self.transaction.is_open() {
            let position = self.enlist(home, Role::Writer).await?;
            frontend::write_function_call(self.transaction.members[position].server.out(), body);
            self.flush_member(position).await?;
            let (client, server) = self.client_and_member(position);
            let reply = forward::pass_reply(client, server).await?;
            if reply.failed {
                return Err(Failure::Told);
            }
            let effect = effect();
            self.note_write(position, &effect);
            self.transaction.members[position].never_redo = true;
            return Ok(());
        }
        self.wait_for_gate(home).await?;
        let mut server = self.borrow(home).await?;
        frontend::write_function_call(server.out(), body);
        let reply = forward::pass_reply(&mut self.client, &mut server).await?;
        self.give_back(server);
        if reply.failed { Err(Failure::Told) } else { Ok(()) }
    }
}

/// It may write anything on its shard and is never redone.
fn effect() -> WriteEffect {
    WriteEffect {
        tables: Vec::new(),
        reference: false,
        mode: WriteMode::Eager,
        redo: Redo::Never("a function call of the protocol".to_owned()),
        deferrable: false,
        assumed: Vec::new(),
    }
}
