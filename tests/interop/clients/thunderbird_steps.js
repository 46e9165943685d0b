// What Thunderbird is told to do, by the same modules as its windows use. `Services.postern` is kept between steps.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { FindConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/FindConfig.sys.mjs");
const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
const { CreateInBackend } = ChromeUtils.importESModule("resource:///modules/accountcreation/CreateInBackend.sys.mjs");

const pause = milliseconds => new Promise(done => window.setTimeout(done, milliseconds));

async function until(what, look, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) {
      return found;
    }
    if (Date.now() > end) {
      throw new Error(`not seen in ${seconds} s: ${what}`);
    }
    await pause(100);
  }
}

const account = () => MailServices.accounts.getAccount(Services.postern.account);
const server = () => account().incomingServer;
const every = () => server().rootFolder.descendants;
const folderOf = name =>
  Ci.nsMsgFolderFlags[name]
    ? server().rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[name])
    : every().find(one => one.name == name);
const headersOf = folder => [...folder.msgDatabase.enumerateMessages()];
const headerOf = (folder, subject) => headersOf(folder).find(one => one.mime2DecodedSubject == subject);

// what its timer does: ask the server for news, without a restart
function refresh(folder) {
  return new Promise(done => {
    const end = window.setTimeout(done, 2000);
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl() {
        window.clearTimeout(end);
        done();
      },
    };
    try {
      server().getNewMessages(folder, null, listener);
      if (server().type == "imap") {
        folder.updateFolder(null);
      }
    } catch (problem) {
      window.clearTimeout(end);
      window.setTimeout(done, 200);
    }
  });
}

const seeing = (what, name, look) =>
  until(what, async () => {
    const folder = folderOf(name);
    if (!folder) {
      return null;
    }
    const found = look(folder);
    if (!found) {
      await refresh(folder);
    }
    return found;
  });

const steps = {
  async trust(certificate) {
    Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(certificate, "C,,");
  },

  // the first page of the account set-up: an address and a password
  async find(address, password) {
    const found = FindConfig.parallelAutoDiscovery(
      address.split("@")[1], address, new AbortController().signal, password
    );
    let config;
    for (let next = await found.next(); ; next = await found.next({ acceptRedirect: true })) {
      if (next.done) {
        config = next.value;
        break;
      }
    }
    if (!config) {
      throw new Error("nothing was found");
    }
    FindConfig.ewsifyConfig(config);
    AccountConfig.replaceVariables(config, "A person", address, password);
    Services.postern = { config };
    return [config.incoming, ...config.incomingAlternatives].map(one => [
      one.type, one.hostname, one.port, one.socketType, one.auth, one.username, one.exchangeURL ?? null,
    ]).concat([["out", config.outgoing.type, config.outgoing.hostname, config.outgoing.port, config.outgoing.socketType]]);
  },

  async create(kind) {
    const config = Services.postern.config;
    const all = [config.incoming, ...config.incomingAlternatives];
    const password = config.incoming.password ?? all.find(one => one.password)?.password;
    config.incoming = all.find(one => one.type == kind);
    config.incoming.password ??= password;
    config.outgoing.password ??= password;
    config.rememberPassword = true;
    const made = await CreateInBackend.createAccountInBackend(config);
    Services.postern.account = made.key;
    return made.incomingServer.type;
  },

  async folders(expected) {
    await until("folders", async () => {
      if (folderOf(expected) && (folderOf("SentMail") || server().type == "imap")) {
        return true;
      }
      server().performExpand(null);
      server().performBiff(null);
      await pause(500);
      return false;
    });
    let before = -1;
    await until("all folders", async () => {
      const now = every().length;
      const same = now == before;
      before = now;
      await pause(300);
      return same;
    });
    const flags = ["Inbox", "Drafts", "SentMail", "Trash", "Junk", "Archive", "Templates", "Queue"];
    return every().map(one => [one.name, flags.filter(flag => one.getFlag(Ci.nsMsgFolderFlags[flag]))]).sort();
  },

  async subjects(name, expected) {
    await seeing(`${expected} in ${name}`, name, folder => expected.every(one => headerOf(folder, one)));
    return headersOf(folderOf(name)).map(one => one.mime2DecodedSubject).sort();
  },

  async text(name, subject) {
    const folder = folderOf(name);
    const uri = folder.getUriForMsg(headerOf(folder, subject));
    const stream = Cc["@mozilla.org/network/sync-stream-listener;1"].createInstance(Ci.nsISyncStreamListener);
    return new Promise((done, failed) => {
      let text = "";
      const listener = {
        QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
        onStartRequest() {},
        onDataAvailable(request, input, offset, count) {
          const read = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
          read.init(input);
          text += read.readBytes(count);
        },
        onStopRequest(request, status) {
          Components.isSuccessCode(status) ? done(text) : failed(new Error(`stream ${status}`));
        },
      };
      MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", false);
    });
  },

  async show(name, subject, words) {
    const pane = await until("the mail tab", () => {
      const main = Services.wm.getMostRecentWindow("mail:3pane");
      const found = main?.document.getElementById("tabmail")?.currentAbout3Pane;
      return found?.threadTree && found.displayFolder ? found : null;
    });
    pane.displayFolder(folderOf(name));
    await until("the list", () => pane.gDBView?.rowCount > 0);
    const header = headerOf(folderOf(name), subject);
    const row = await until("the row", () => {
      const index = pane.gDBView.findIndexOfMsgHdr(header, true);
      return index < 0xffffffff ? [index] : null;
    });
    pane.threadTree.selectedIndex = row[0];
    const message = await until("the message", () => {
      const browser = pane.messageBrowser?.contentWindow?.getMessagePaneBrowser?.();
      const text = browser?.contentDocument?.body?.textContent;
      return text?.includes(words) ? text : null;
    });
    return message.trim();
  },

  async mark(name, subject) {
    const folder = folderOf(name);
    const header = headerOf(folder, subject);
    folder.markMessagesRead([header], true);
    folder.markMessagesFlagged([header], true);
  },

  async flags(name, subject, expected) {
    await seeing(`flags of ${subject}`, name, folder => {
      const header = headerOf(folder, subject);
      return header && Object.keys(expected).every(one => header[one] == expected[one]);
    });
  },

  async make(name) {
    server().rootFolder.createSubfolder(name, null);
    await until(`folder ${name}`, () => folderOf(name));
  },

  async move(name, subject, target) {
    const header = headerOf(folderOf(name), subject);
    const status = await new Promise(done =>
      MailServices.copy.copyMessages(folderOf(name), [header], folderOf(target), true, {
        QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
        onStartCopy() {},
        onProgress() {},
        setMessageKey() {},
        getMessageId() {},
        onStopCopy: done,
      }, null, false)
    );
    if (!Components.isSuccessCode(status)) {
      throw new Error(`move: ${status}`);
    }
    await until("gone here", () => !headerOf(folderOf(name), subject));
    await seeing("there", target, folder => headerOf(folder, subject));
  },

  async delete(name, subject) {
    const folder = folderOf(name);
    folder.deleteMessages([headerOf(folder, subject)], null, false, false, null, true);
    await until("deleted", () => !headerOf(folderOf(name), subject));
  },

  async send(to, subject, text) {
    const identity = account().defaultIdentity;
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    fields.from = identity.email;
    fields.to = to;
    fields.subject = subject;
    const sending = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
    return new Promise((done, failed) => {
      const listener = {
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener", "nsIMsgCopyServiceListener"]),
        onStartSending() {},
        onSendProgress() {},
        onStatus() {},
        onStopSending(id, status, message) {
          if (!Components.isSuccessCode(status)) {
            failed(new Error(`send ${status} ${message}`));
          }
        },
        onGetDraftFolderURI() {},
        onSendNotPerformed() {
          failed(new Error("not sent"));
        },
        onTransportSecurityError(id, status) {
          failed(new Error(`security ${status}`));
        },
        onStartCopy() {},
        onProgress() {},
        setMessageKey() {},
        getMessageId() {},
        // its own copy for the folder of sent mail is the last thing
        onStopCopy(status) {
          Components.isSuccessCode(status) ? done(status) : failed(new Error(`copy ${status}`));
        },
      };
      sending.createAndSendMessage(
        null, identity, account().key, fields, false, false,
        Ci.nsIMsgCompDeliverMode.Now, null, "text/plain", text, null, null, listener, "", "", Ci.nsIMsgCompType.New
      );
    });
  },
};
