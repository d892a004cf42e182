//! The patterns that can be named without being defined: those that grok patterns everywhere know.

/// A pattern's name and its expression, in which it may name others.
type Table = &'static [(&'static str, &'static str)];

pub(super) const TABLES: [Table; 7] = [WORDS, NUMBERS, NETWORK, PATHS, TIMES, SYSLOG, HTTPD];

const WORDS: Table = &[
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("QUOTEDSTRING", r#"(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"#),
    ("QS", "%{QUOTEDSTRING}"),
    ("BOOL", "(?:true|false)"),
    (
        "UUID",
        r"[[:xdigit:]]{8}-(?:[[:xdigit:]]{4}-){3}[[:xdigit:]]{12}",
    ),
    (
        "URN",
        r"urn:[[:alnum:]][[:alnum:]-]{0,31}:[[:alnum:]()+,.:=@;$_!*'/?#-]+",
    ),
    (
        "LOGLEVEL",
        r"(?i:alert|trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|emerg(?:ency)?)",
    ),
    (
        "JAVACLASS",
        r"(?:[a-zA-Z$_][a-zA-Z$_0-9]*\.)*[a-zA-Z$_][a-zA-Z$_0-9]*",
    ),
    ("JAVAMETHOD", r"(?:<(?:cl)?init>|[a-zA-Z$_][a-zA-Z$_0-9]*)"),
    ("JAVAFILE", r"[a-zA-Z$_0-9. -]+"),
];

const NUMBERS: Table = &[
    ("INT", "[+-]?[0-9]+"),
    ("NUMBER", "%{BASE10NUM}"),
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("BASE16NUM", "[+-]?(?:0x)?[[:xdigit:]]+"),
    (
        "BASE16FLOAT",
        r"[+-]?(?:0x)?[[:xdigit:]]+(?:\.[[:xdigit:]]*)?",
    ),
    ("POSINT", r"\b[1-9][0-9]*\b"),
    ("NONNEGINT", r"\b[0-9]+\b"),
];

const NETWORK: Table = &[
    ("IP", "(?:%{IPV6}|%{IPV4})"),
    (
        "IPV4",
        r"(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])",
    ),
    // RFC 4291, section 2.2: eight groups, or fewer around one `::`; an IPv4 address may end it.
    (
        "IPV6",
        concat!(
            r"(?:(?:[[:xdigit:]]{1,4}:){6}(?:[[:xdigit:]]{1,4}:[[:xdigit:]]{1,4}|%{IPV4})",
            r"|(?:[[:xdigit:]]{1,4}(?::[[:xdigit:]]{1,4}){0,5})?::(?:(?:[[:xdigit:]]{1,4}:){0,5}%{IPV4}",
            r"|[[:xdigit:]]{1,4}(?::[[:xdigit:]]{1,4}){0,5})?)(?:%[[:alnum:]._-]+)?",
        ),
    ),
    (
        "HOSTNAME",
        r"\b[[:alnum:]][[:alnum:]-]{0,62}(?:\.[[:alnum:]][[:alnum:]-]{0,62})*(?:\.|\b)",
    ),
    ("IPORHOST", "(?:%{IP}|%{HOSTNAME})"),
    ("HOSTPORT", "%{IPORHOST}:%{POSINT}"),
    ("USERNAME", "[[:alnum:]._-]+"),
    ("USER", "%{USERNAME}"),
    ("EMAILLOCALPART", "[[:alpha:]][[:alnum:]_.+=:-]+"),
    ("EMAILADDRESS", "%{EMAILLOCALPART}@%{HOSTNAME}"),
    ("MAC", "(?:%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC})"),
    ("CISCOMAC", r"(?:[[:xdigit:]]{4}\.){2}[[:xdigit:]]{4}"),
    ("WINDOWSMAC", "(?:[[:xdigit:]]{2}-){5}[[:xdigit:]]{2}"),
    ("COMMONMAC", "(?:[[:xdigit:]]{2}:){5}[[:xdigit:]]{2}"),
];

const PATHS: Table = &[
    ("PATH", "(?:%{UNIXPATH}|%{WINPATH})"),
    ("UNIXPATH", r"(?:/[\w_%!$@:.,+~-]+)+"),
    ("WINPATH", r"[A-Za-z]+:(?:\\[^\\?*]+)+"),
    ("TTY", r"/dev/(?:pts|tty[pq]?)\w*/?[0-9]+"),
    ("URIPROTO", "[[:alpha:]][[:alnum:]+.-]+"),
    ("URIHOST", "%{IPORHOST}(?::%{POSINT})?"),
    ("URIPATH", r"(?:/[[:alnum:]$.+!*'(){},~:;=@#%&_-]+)+"),
    ("URIQUERY", r"[[:alnum:]$.+!*'|(){},~@#%&/=:;_?\[\]<>-]*"),
    ("URIPARAM", r"\?%{URIQUERY}"),
    ("URIPATHPARAM", r"%{URIPATH}(?:\?%{URIQUERY})?"),
    (
        "URI",
        r"%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?%{URIHOST}(?:%{URIPATH}(?:\?%{URIQUERY})?)?",
    ),
];

const TIMES: Table = &[
    (
        "MONTH",
        concat!(
            r"\b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?",
            r"|Sep(?:tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b",
        ),
    ),
    ("MONTHNUM", "(?:0[1-9]|1[0-2])"),
    ("MONTHDAY", "(?:0[1-9]|[12][0-9]|3[01]|[1-9])"),
    (
        "DAY",
        r"\b(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)\b",
    ),
    ("YEAR", "(?:[0-9]{2}){1,2}"),
    ("HOUR", "(?:2[0-3]|[01]?[0-9])"),
    ("MINUTE", "[0-5][0-9]"),
    // 60 is a leap second.
    ("SECOND", "(?:[0-5][0-9]|60)(?:[:.,][0-9]+)?"),
    ("TIME", "%{HOUR}:%{MINUTE}(?::%{SECOND})?"),
    ("DATE_US", "%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"),
    ("DATE_EU", "%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"),
    ("DATE", "(?:%{DATE_US}|%{DATE_EU})"),
    ("DATESTAMP", "%{DATE}[- ]%{TIME}"),
    ("ISO8601_TIMEZONE", "(?:Z|[+-]%{HOUR}:?%{MINUTE})"),
    ("ISO8601_SECOND", "%{SECOND}"),
    (
        "TIMESTAMP_ISO8601",
        "%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?",
    ),
    ("TZ", "(?:[PMACE][SED]T|UTC)"),
    (
        "DATESTAMP_RFC822",
        "%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}",
    ),
    (
        "DATESTAMP_RFC2822",
        "%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}",
    ),
    (
        "DATESTAMP_OTHER",
        "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}",
    ),
    (
        "DATESTAMP_EVENTLOG",
        "%{YEAR}%{MONTHNUM}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}",
    ),
    ("HTTPDATE", "%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"),
];

const SYSLOG: Table = &[
    ("SYSLOGTIMESTAMP", "%{MONTH} +%{MONTHDAY} %{TIME}"),
    ("PROG", r"[!-Z\\^-~]+"),
    ("SYSLOGPROG", r"%{PROG}(?:\[[0-9]+\])?"),
    ("SYSLOGHOST", "%{IPORHOST}"),
    ("SYSLOGFACILITY", "<%{NONNEGINT}.%{NONNEGINT}>"),
    (
        "SYSLOGBASE",
        "%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:host.name} %{SYSLOGPROG}:",
    ),
    (
        "SYSLOGBASE2",
        concat!(
            "(?:%{SYSLOGTIMESTAMP:timestamp}|%{TIMESTAMP_ISO8601:timestamp})(?: %{SYSLOGFACILITY})?",
            "(?: %{SYSLOGHOST:host.name})?(?: %{SYSLOGPROG}:)?",
        ),
    ),
    ("SYSLOGLINE", "%{SYSLOGBASE2} %{GREEDYDATA:message}"),
    ("SYSLOG5424PRINTASCII", "[!-~]+"),
    ("SYSLOG5424PRI", "<%{NONNEGINT:log.syslog.priority:int}>"),
    ("SYSLOG5424SD", r"(?:\[.*?\])+"),
    (
        "SYSLOG5424BASE",
        concat!(
            "%{SYSLOG5424PRI}%{NONNEGINT:system.syslog.version} +(?:-|%{TIMESTAMP_ISO8601:timestamp})",
            " +(?:-|%{IPORHOST:host.name}) +(?:-|%{SYSLOG5424PRINTASCII:process.command})",
            " +(?:-|%{POSINT:process.pid:int}) +(?:-|%{SYSLOG5424PRINTASCII:event.code})",
            " +(?:-|%{SYSLOG5424SD:system.syslog.structured_data})?",
        ),
    ),
    ("SYSLOG5424LINE", "%{SYSLOG5424BASE} +%{GREEDYDATA:message}"),
    ("CRON_ACTION", "[A-Z ]+"),
    (
        "CRONLOG",
        r"%{SYSLOGBASE} \(%{USER:user.name}\) %{CRON_ACTION:system.cron.action} \(%{DATA:message}\)",
    ),
];

const HTTPD: Table = &[
    ("HTTPDUSER", "(?:%{EMAILADDRESS}|%{USER})"),
    (
        "HTTPDERROR_DATE",
        "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{YEAR}",
    ),
    (
        "HTTPD_COMMONLOG",
        concat!(
            "%{IPORHOST:source.address} (?:-|%{HTTPDUSER:apache.access.user.identity}) (?:-|%{HTTPDUSER:user.name})",
            r#" \[%{HTTPDATE:timestamp}\] "(?:%{WORD:http.request.method} %{NOTSPACE:url.original}"#,
            r#"(?: HTTP/%{NUMBER:http.version})?|%{DATA})""#,
            " (?:-|%{INT:http.response.status_code:int}) (?:-|%{INT:http.response.body.size:long})",
        ),
    ),
    (
        "HTTPD_COMBINEDLOG",
        r#"%{HTTPD_COMMONLOG} "(?:-|%{DATA:http.request.referrer})" "(?:-|%{DATA:user_agent.original})""#,
    ),
    (
        "HTTPD20_ERRORLOG",
        r"\[%{HTTPDERROR_DATE:timestamp}\] \[%{LOGLEVEL:log.level}\] (?:\[client %{IPORHOST:source.address}\] )?%{GREEDYDATA:message}",
    ),
    ("COMMONAPACHELOG", "%{HTTPD_COMMONLOG}"),
    ("COMBINEDAPACHELOG", "%{HTTPD_COMBINEDLOG}"),
];
