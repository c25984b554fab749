# Stand-in for the functions of nixpkgs' lib that nix/*.nix call, and for its module system, so that the
# module can be evaluated without nixpkgs. It implements priorities, mkIf, mkMerge, mkOrder, imports,
# submodules, freeform settings, type checks and unknown options, each as in nixpkgs. A successful evaluation
# here is no check against the options of a real NixOS.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    genList
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isString
    length
    listToAttrs
    mapAttrs
    match
    replaceStrings
    sort
    stringLength
    substring
    tail
    ;

  unique = foldl' (found: name: if elem name found then found else found ++ [ name ]) [ ];
  nameValuePair = name: value: { inherit name value; };
  showPath = concatStringsSep ".";

  # --- wrappers of a definition ---

  isKind = kind: value: isAttrs value && value._type or "" == kind;
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = order: content: {
    _type = "order";
    inherit order content;
  };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOption = attributes: attributes // { _type = "option"; };
  defaultPriority = 100;
  defaultOrder = 1000;

  # Unwraps a definition into a list of { value, priority, order }; empty if a condition is false.
  discharge =
    value:
    if isKind "merge" value then
      concatMap discharge value.contents
    else if isKind "if" value then
      if value.condition then discharge value.content else [ ]
    else if isKind "override" value then
      map (one: one // { inherit (value) priority; }) (discharge value.content)
    else if isKind "order" value then
      map (one: one // { inherit (value) order; }) (discharge value.content)
    else
      [
        {
          inherit value;
          priority = defaultPriority;
          order = defaultOrder;
        }
      ];

  # Unwraps a whole module: moves conditions and priorities down to its attributes without evaluating them.
  pushDown =
    value:
    if isKind "merge" value then
      concatMap pushDown value.contents
    else if isKind "if" value then
      map (mapAttrs (_: mkIf value.condition)) (pushDown value.content)
    else if isKind "override" value then
      map (mapAttrs (_: mkOverride value.priority)) (pushDown value.content)
    else
      [ value ];

  # Returns the values with the strongest priority, in their order.
  strongest =
    definitions:
    let
      found = concatMap discharge definitions;
      best = foldl' (least: one: if one.priority < least then one.priority else least) 10000 found;
    in
    map (one: one.value) (sort (a: b: a.order < b.order) (filter (one: one.priority == best) found));

  mergeAs =
    type: location: definitions:
    let
      values = strongest definitions;
      bad = filter (value: !type.check value) values;
    in
    if values == [ ] then
      throw "The option `${showPath location}' is used but not defined."
    else if bad != [ ] then
      throw "A definition for option `${showPath location}' is not of type `${type.name}'."
    else
      type.merge location values;

  # --- types ---

  one = location: values: if all (value: value == head values) values then head values else throw "The option `${showPath location}' has conflicting definition values.";
  simple = name: check: {
    inherit name check;
    merge = one;
  };
  types = rec {
    str = simple "string" isString;
    bool = simple "boolean" isBool;
    int = simple "signed integer" isInt;
    float = simple "floating point number" isFloat;
    port = simple "16 bit unsigned integer; between 0 and 65535" (value: isInt value && value >= 0 && value <= 65535);
    path = simple "path" (value: builtins.isPath value || (isString value && substring 0 1 value == "/") || (isAttrs value && value ? outPath));
    package = simple "package" (value: isAttrs value && value ? outPath);
    raw = simple "raw value" (_: true);
    enum = values: simple "one of ${builtins.toJSON values}" (value: elem value values);
    strMatching = pattern: simple "string matching the pattern ${pattern}" (value: isString value && match pattern value != null);
    lines = {
      name = "strings concatenated with \"\\n\"";
      check = isString;
      merge = _: concatStringsSep "\n";
    };
    anything = {
      name = "anything";
      check = _: true;
      merge =
        location: values:
        if all isAttrs values && !any (value: value ? outPath) values then
          (attrsOf anything).merge location values
        else if all isList values then
          concatLists values
        else
          one location values;
    };
    listOf = type: {
      name = "list of ${type.name}";
      check = isList;
      merge =
        location: values:
        let
          items = concatLists values;
        in
        genList (index: mergeAs type (location ++ [ "[${toString index}]" ]) [ (builtins.elemAt items index) ]) (length items);
    };
    attrsOf = type: {
      name = "attribute set of ${type.name}";
      check = isAttrs;
      merge =
        location: values:
        let
          named = name: concatMap (value: if value ? ${name} then [ value.${name} ] else [ ]) values;
          names = filter (name: concatMap discharge (named name) != [ ]) (unique (concatMap attrNames values));
        in
        listToAttrs (map (name: nameValuePair name (mergeAs type (location ++ [ name ]) (named name))) names);
    };
    nullOr = type: {
      name = "null or ${type.name}";
      check = value: value == null || type.check value;
      merge =
        location: values: if all (value: value == null) values then null else type.merge location (filter (value: value != null) values);
    };
    either = a: b: {
      name = "${a.name} or ${b.name}";
      check = value: a.check value || b.check value;
      merge = location: values: (if all a.check values then a else b).merge location values;
    };
    oneOf = choices: foldl' either (head choices) (tail choices);
    submodule = module: {
      name = "submodule";
      check = value: isAttrs value || isFunction value;
      merge =
        location: values:
        (evalModules {
          inherit location;
          modules = [ module ] ++ map (value: if isFunction value then value else { config = value; }) values;
          specialArgs.name = builtins.elemAt location (length location - 1);
        }).config;
    };
  };

  # --- modules ---

  evalModules =
    {
      modules,
      specialArgs ? { },
      location ? [ ],
    }:
    let
      arguments = specialArgs // {
        inherit config options;
        lib = specialArgs.lib or lib;
      };
      load =
        given:
        let
          loaded = if builtins.isPath given || isString given then import given else given;
          module = if isFunction loaded then loaded arguments else loaded;
          isShort = !(module ? config || module ? options);
          shape = {
            # Key by which a file that is imported twice counts once.
            key = if builtins.isPath given || isString given then toString given else null;
            options = module.options or { };
            freeformType = module.freeformType or null;
            config = if isShort then removeAttrs module [ "imports" "freeformType" "_file" ] else module.config or { };
          };
        in
        [ shape ] ++ concatMap load (module.imports or [ ]);

      loaded = foldl' (
        found: module: if module.key != null && any (other: other.key == module.key) found then found else found ++ [ module ]
      ) [ ] (concatMap load modules);
      freeform = foldl' (found: module: if module.freeformType != null then module.freeformType else found) null loaded;
      options = foldl' mergeOptions { } (map (module: module.options) loaded);
      mergeOptions =
        a: b:
        a
        // mapAttrs (
          name: value:
          if !(a ? ${name}) then
            value
          else if isKind "option" value || isKind "option" a.${name} then
            throw "The option `${name}' is declared twice."
          else
            mergeOptions a.${name} value
        ) b;

      walk =
        here: tree: definitions:
        let
          flat = concatMap pushDown definitions;
          at = name: concatMap (definition: if definition ? ${name} then [ definition.${name} ] else [ ]) flat;
          unknown = filter (name: !(tree ? ${name})) (unique (concatMap attrNames flat));
          extra =
            if unknown == [ ] then
              { }
            else if freeform != null && here == location then
              freeform.merge here (map (definition: removeAttrs definition (attrNames tree)) flat)
            else
              throw "The option `${showPath (here ++ [ (head unknown) ])}' does not exist.";
          value =
            name: option:
            let
              path = here ++ [ name ];
              fallback = if option ? default then [ (mkOverride 1500 option.default) ] else [ ];
            in
            if isKind "option" option then
              mergeAs option.type path (at name ++ fallback)
            else
              walk path option (at name);
        in
        # Values are evaluated lazily, so an invalid value does not prevent access to other attributes.
        mapAttrs value tree // extra;

      config = walk location options (map (module: module.config) loaded);
    in
    {
      inherit config options;
    };

  escapeShellArg = text: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";

  lib = {
    inherit
      all
      any
      attrNames
      attrValues
      concatLists
      concatMap
      concatStringsSep
      elem
      escapeShellArg
      evalModules
      filter
      head
      listToAttrs
      mapAttrs
      mkIf
      mkMerge
      mkOption
      mkOrder
      mkOverride
      nameValuePair
      replaceStrings
      tail
      types
      unique
      ;
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
    mkBefore = mkOrder 500;
    mkAfter = mkOrder 1500;
    mkEnableOption =
      what:
      mkOption {
        type = types.bool;
        default = false;
        description = "Whether to enable ${what}.";
      };
    literalExpression = text: text;
    boolToString = value: if value then "true" else "false";
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: attributes: if condition then attributes else { };
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasInfix = infix: text: replaceStrings [ infix ] [ "" ] text != text;
    concatMapStringsSep = separator: change: values: concatStringsSep separator (map change values);
    filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    mapAttrsToList = change: set: map (name: change name set.${name}) (attrNames set);
    mapAttrs' = change: set: listToAttrs (map (name: change name set.${name}) (attrNames set));
    genAttrs = names: value: listToAttrs (map (name: nameValuePair name (value name)) names);
    importJSON = file: builtins.fromJSON (builtins.readFile file);
    versionAtLeast = a: b: builtins.compareVersions a b >= 0;
    licenses.mit = { };
  };
in
lib
