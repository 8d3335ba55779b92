//! `serve`: one proxy in the foreground, ended by SIGTERM or SIGINT.

use tracing::error;

use super::options::Options;
use super::running::{Running, StartError, start};
use super::shutdown::EndSignals;

/// How often the foreground looks whether the proxy ended by itself.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// Runs until the drain is over; tells whether it was clean. Blocks.
pub fn serve(options: Options) -> Result<bool, StartError> {
    super::logging::start(options.config.telemetry.log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = EndSignals::listen()?;
        let running = start(options)?;
        forward(&mut signals, &running).await;
        Ok(running.join())
    })
}

/// Passes each signal on until the proxy has ended.
pub async fn forward(signals: &mut EndSignals, running: &Running) {
    while !running.has_ended() {
        tokio::select! {
            () = signals.received() => running.stop(),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    if running.proxy().clients.admitted() > 0 {
        error!(clients = running.proxy().clients.admitted(), "some clients were cut");
    }
}
